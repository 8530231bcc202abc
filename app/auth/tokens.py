"""Access tokens: short-lived JWTs signed with Ed25519, and nothing else is ever accepted."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import jwt

from app.auth.keys import KeyRing
from app.auth.rules import Caller, Role, ToEmpty
from app.core.db import new_id
from app.core.errors import Unauthorized
from app.core.settings import Settings

ALGORITHM = "EdDSA"
# RFC 9068: says what the token is for, so that nothing else signed by us can pass for one.
KIND = "at+jwt"
AUDIENCE = "yingwei-api"
LEEWAY_SECONDS = 60
LONGEST_TOKEN = 4096

# Expiry is checked below against the time handed in, not by the library against the machine's.
_OPTIONS: Any = {
    "require": ["exp", "iat", "sub", "aud", "iss", "jti"],
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "strict_aud": True,
}


def issue(keys: KeyRing, settings: Settings, caller: Caller, now: datetime) -> str:
    """Sign an access token that says who the caller is; good for the settings' minutes from now."""
    key_id, key = keys.signing
    return jwt.encode(
        {
            "iss": settings.issuer,
            "aud": AUDIENCE,
            "sub": str(caller.account_id),
            "jti": new_id().hex,
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=settings.access_token_minutes)).timestamp()),
            "role": caller.role.value,
            "org": str(caller.org_unit_id),
            "path": caller.org_path,
            "technician": str(caller.technician_id) if caller.technician_id else None,
            "scope": " ".join(sorted(caller.scopes)),
            "sid": str(caller.session_id) if caller.session_id else None,
            "wipe": _written(caller.to_empty) if caller.to_empty else None,
        },
        key,
        algorithm=ALGORITHM,
        headers={"kid": key_id, "typ": KIND},
    )


def proved(keys: KeyRing, settings: Settings, token: str, now: datetime) -> Caller:
    """Prove an access token and return its caller.

    A proof is remembered by the token's digest until the token expires, since checking the
    signature costs about a tenth of a millisecond, much of a hot request. Raises Unauthorized.
    """
    if len(token) > LONGEST_TOKEN:
        raise Unauthorized()
    seconds = now.timestamp()
    digest = sha256(token.encode()).digest()
    known = keys.proved.get(digest)
    if known is not None:
        until, caller = known
        if seconds < until:
            keys.proved.move_to_end(digest)
            return caller
        del keys.proved[digest]
        raise Unauthorized()
    try:
        until, caller = _checked(keys, settings, token, seconds)
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Unauthorized() from error
    keys.remember(digest, until, caller)
    return caller


def good_until(token: str) -> datetime:
    """Say until when an access token is accepted that has been proved."""
    claims = jwt.decode(token, options={"verify_signature": False})
    return datetime.fromtimestamp(claims["exp"] + LEEWAY_SECONDS, UTC)


def _checked(keys: KeyRing, settings: Settings, token: str, seconds: float) -> tuple[float, Caller]:
    header = jwt.get_unverified_header(token)
    key = keys.public(header["kid"])
    # The key decides the algorithm, never the token: what names another one is refused unread.
    if key is None or header["alg"] != ALGORITHM or header["typ"] != KIND:
        raise ValueError("not one of our keys")
    claims = jwt.decode(
        token,
        key,
        algorithms=[ALGORITHM],
        audience=AUDIENCE,
        issuer=settings.issuer,
        options=_OPTIONS,
    )
    expires, issued = claims["exp"], claims["iat"]
    if type(expires) is not int or type(issued) is not int:
        raise TypeError("times are whole seconds")
    until = float(expires + LEEWAY_SECONDS)
    if seconds >= until or issued > seconds + LEEWAY_SECONDS:
        raise ValueError("not valid at this moment")
    technician, session, wipe = claims["technician"], claims.get("sid"), claims.get("wipe")
    return until, Caller(
        account_id=UUID(claims["sub"]),
        role=Role(claims["role"]),
        org_unit_id=UUID(claims["org"]),
        org_path=claims["path"],
        technician_id=UUID(technician) if technician else None,
        scopes=frozenset(claims["scope"].split()),
        session_id=UUID(session) if session else None,
        to_empty=ToEmpty(UUID(wipe[0]), datetime.fromisoformat(wipe[1])) if wipe else None,
    )


def _written(to_empty: ToEmpty) -> list[str]:
    return [str(to_empty.wipe_id), to_empty.asked_at.isoformat()]
