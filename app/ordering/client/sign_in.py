"""How we tell the ordering system who we are: by a token, fixed or fetched, or by a signature."""

import asyncio
import ssl
from datetime import datetime, timedelta
from typing import Any, Protocol

import anyio
import httpx

from app.core import signing
from app.core.clock import wall
from app.core.db import new_id
from app.core.outside import Lost, NoAnswer, tidy
from app.core.settings import Settings

# A token is given up so long before its end, lest it end on the way.
_EARLY = timedelta(seconds=30)
# For a token whose lifetime is not told.
_LIFETIME_SECONDS = 300


class SignIn(Protocol):
    """One way of telling who we are."""

    async def headers(self, content: bytes) -> dict[str, str]:
        """Make the headers for one request with this body. Raises NoAnswer."""
        ...

    def turned_away(self) -> bool:
        """Take note that the other side answered 401; says whether asking again may help."""
        ...

    async def aclose(self) -> None:
        """Close what it holds."""
        ...


class Token:
    """A bearer token that was agreed on; none at all when it is empty."""

    def __init__(self, token: str) -> None:
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def headers(self, content: bytes) -> dict[str, str]:
        """Carry the token."""
        return self._headers

    def turned_away(self) -> bool:
        """Say that there is no other token."""
        return False

    async def aclose(self) -> None:
        """Hold nothing."""


class Signature:
    """A signature of every request (Standard Webhooks); needs no token."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    async def headers(self, content: bytes) -> dict[str, str]:
        """Sign the body, with an id and the time."""
        return signing.sign(self._secret, f"msg_{new_id().hex}", wall(), content)

    def turned_away(self) -> bool:
        """Say that signing again would not help."""
        return False

    async def aclose(self) -> None:
        """Hold nothing."""


class ClientCredentials:
    """A token from an authorization server (OAuth2 client credentials, RFC 6749 4.4).

    It is fetched when it is first needed, used until shortly before its end, and fetched anew once
    when the other side turns it away: it may have been withdrawn before its time.
    """

    def __init__(
        self,
        url: str,
        *,
        client_id: str,
        client_secret: str,
        scope: str = "",
        time_limit: float = 10.0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._url = url
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._time_limit = time_limit
        self._http = httpx.AsyncClient(
            auth=httpx.BasicAuth(client_id, client_secret),
            timeout=time_limit,
            verify=True if tls is None else tls,
        )
        self._fetching = asyncio.Lock()
        self._token = ""
        self._until = wall()
        self._refused = ""

    async def headers(self, content: bytes) -> dict[str, str]:
        """Carry a token that is still good. Raises NoAnswer when none can be had."""
        async with self._fetching:
            if not self._token or wall() >= self._until:
                await self._fetch()
            return {"Authorization": f"Bearer {self._token}"}

    def turned_away(self) -> bool:
        """Forget the token; a second refusal in a row is not about the token."""
        again = bool(self._token) and self._token != self._refused
        self._refused, self._token = self._token, ""
        return again

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def _fetch(self) -> None:
        try:
            with anyio.fail_after(self._time_limit):
                answer = await self._http.post(self._url, data=self._form)
            if answer.status_code != 200:
                raise ValueError(f"HTTP {answer.status_code} {answer.text[:200]}")
            self._token, self._until = _token_in(answer.json(), wall())
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, ValueError) as error:
            why = tidy(
                f"no token from the authorization server: {str(error) or type(error).__name__}"
            )
            raise NoAnswer(Lost.NOT_SIGNED_IN, why, "") from error


def _token_in(answer: Any, now: datetime) -> tuple[str, datetime]:
    """Read an access token and until when it is used. Raises ValueError."""
    token = answer.get("access_token") if isinstance(answer, dict) else None
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise ValueError("the answer holds no access_token")
    seconds = answer.get("expires_in", _LIFETIME_SECONDS)
    if isinstance(seconds, str) and seconds.isascii() and seconds.isdigit():
        seconds = int(seconds[:9])
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 0 < seconds < 10**9:
        seconds = _LIFETIME_SECONDS
    # A token of less than a minute is used for half of its life.
    return token, now + max(timedelta(seconds=seconds) - _EARLY, timedelta(seconds=seconds / 2))


def tls_of(settings: Settings) -> ssl.SSLContext | None:
    """Make what connections are secured with, where the settings name certificates."""
    if settings.ordering_certificate is None and settings.ordering_authority is None:
        return None
    tls = ssl.create_default_context(
        cafile=None if settings.ordering_authority is None else str(settings.ordering_authority)
    )
    if settings.ordering_certificate is not None:
        tls.load_cert_chain(settings.ordering_certificate, settings.ordering_certificate_key)
    return tls


def sign_in_of(settings: Settings, tls: ssl.SSLContext | None) -> SignIn:
    """Make the way of telling who we are that the settings name. Raises ValueError."""
    if settings.ordering_sign_in == "signature":
        secret = settings.ordering_signing_secret.get_secret_value()
        return Signature(signing.secret_of(secret))
    if settings.ordering_sign_in == "client_credentials":
        return ClientCredentials(
            settings.ordering_token_url,
            client_id=settings.ordering_client_id,
            client_secret=settings.ordering_client_secret.get_secret_value(),
            scope=settings.ordering_scope,
            time_limit=settings.ordering_timeout_seconds,
            tls=tls,
        )
    return Token(settings.ordering_token.get_secret_value())
