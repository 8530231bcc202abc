"""A phone's line to the server: it is let in, it is told no, or nobody is reached."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from app.core.i18n import Lang
from app.phone.store import Store

# Which app this is, and in which version.
VERSION = "terminal/1.0"
# For the answer to a push of a whole day; whoever is not answered sends the same again.
PATIENCE = httpx.Timeout(30.0, connect=5.0)
# A stream that says nothing for so many seconds, not even that it is alive, is dead.
SILENCE = httpx.Timeout(60.0, connect=5.0)


class NoSignal(Exception):
    """The server was not reached, or asks to come again; the same may be sent again later."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.retry_after = retry_after


class SignInNeeded(Exception):
    """The server does not know this phone: a password is needed."""


class Refused(Exception):
    """The server said no: `slug` is the refusal's name, `words` are in the phone's language."""

    def __init__(self, status: int, slug: str, words: str, facts: Mapping[str, Any]) -> None:
        super().__init__(f"{status} {slug}: {words}")
        self.status, self.slug, self.words, self.facts = status, slug, words, facts


class Line:
    """The line of one phone; what lets it in is kept in its store."""

    def __init__(self, http: httpx.AsyncClient, store: Store, *, lang: Lang = "zh") -> None:
        self._http = http
        self._store = store
        self._lang = lang
        self._renewing = asyncio.Lock()
        # Until when this version of the app is served, once that is known (RFC 8594).
        self.sunset: str | None = None

    async def sign_in(self, username: str, password: str) -> None:
        """Sign in, and keep the tokens. Raises NoSignal, and Refused for a wrong password."""
        await self._token(grant_type="password", username=username, password=password)

    async def _token(self, **form: str) -> None:
        answer = await self._once("POST", "/v1/auth/token", {"data": form}, {})
        if answer.is_error:
            raise _refused(answer)
        read = answer.json()
        self._store["tokens"] = {name: read[name] for name in ("access_token", "refresh_token")}

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **given: Any
    ) -> httpx.Response:
        """Ask for something. Raises NoSignal, SignInNeeded, and Refused for whatever is a no."""
        for again in (False, True):
            token = self._access_token()
            said = {"authorization": f"Bearer {token}", **(headers or {})}
            answer = await self._once(method, path, given, said)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
            await self._let_in_again(token, last=again)
        if answer.is_error:
            raise _refused(answer)
        return answer

    @asynccontextmanager
    async def listen(
        self, path: str, headers: Mapping[str, str]
    ) -> AsyncIterator[AsyncIterator[str]]:
        """Listen to the lines of an answer that goes on, within this context.

        Raises NoSignal, also in the middle of it, SignInNeeded and Refused.
        """
        said = {**self._said(), "accept": "text/event-stream", **headers}
        try:
            for again in (False, True):
                token = self._access_token()
                bearer = {"authorization": f"Bearer {token}"}
                request = self._http.build_request(
                    "GET", path, headers={**said, **bearer}, timeout=SILENCE
                )
                answer = await self._http.send(request, stream=True)
                try:
                    if answer.status_code == httpx.codes.UNAUTHORIZED:
                        await self._let_in_again(token, last=again)
                        continue
                    if answer.is_error:
                        await answer.aread()
                        _check_served(answer)
                        raise _refused(answer)
                    yield answer.aiter_lines()
                    return
                finally:
                    await answer.aclose()
        except httpx.HTTPError as error:
            raise NoSignal(str(error) or type(error).__name__) from error

    def _access_token(self) -> str:
        tokens = self._store["tokens"]
        if tokens is None:
            raise SignInNeeded
        return str(tokens["access_token"])

    async def _let_in_again(self, refused: str, *, last: bool) -> None:
        """Get another access token in place of one that was refused. Raises SignInNeeded, also
        where the one that was refused was the last to be tried; then the phone is signed out."""
        async with self._renewing:
            tokens = self._store["tokens"]
            if tokens is None:
                raise SignInNeeded
            if tokens["access_token"] != refused:
                if last:
                    raise SignInNeeded
                # Somebody else on this phone was refused as well, and was quicker: a refresh token
                # is good once.
                return
            try:
                if last or not tokens["refresh_token"]:
                    raise SignInNeeded
                await self._token(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
            except (Refused, SignInNeeded) as denied:
                # Whoever is not let in is shown nothing. Another on this phone may have been let in
                # meanwhile.
                if self._store["tokens"] == tokens:
                    self._store["tokens"] = None
                raise SignInNeeded from denied

    def _said(self) -> Mapping[str, str]:
        return {
            "accept-language": self._lang,
            "x-device-id": self._store["device"] or "",
            "x-app-version": VERSION,
        }

    async def _once(
        self, method: str, path: str, given: Mapping[str, Any], headers: Mapping[str, str]
    ) -> httpx.Response:
        said = {**self._said(), **headers}
        try:
            answer = await self._http.request(method, path, headers=said, timeout=PATIENCE, **given)
        except httpx.HTTPError as error:
            raise NoSignal(str(error) or type(error).__name__) from error
        _check_served(answer)
        self.sunset = answer.headers.get("sunset")
        return answer


def _check_served(answer: httpx.Response) -> None:
    """Check that the server did not ask to come again. Raises NoSignal."""
    if answer.status_code == httpx.codes.TOO_MANY_REQUESTS or answer.is_server_error:
        after = answer.headers.get("retry-after", "")
        seconds = float(after) if after.isdecimal() else None
        raise NoSignal(f"{answer.status_code}", seconds)


def _refused(answer: httpx.Response) -> Refused:
    try:
        read = answer.json()
        slug, words = read["type"].rpartition(":")[2], f"{read['title']}: {read['detail']}"
        facts = read.get("facts") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        slug, words, facts = "", answer.text[:300], {}
    return Refused(answer.status_code, slug, words, facts)
