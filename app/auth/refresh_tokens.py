"""Refresh tokens as bytes: random, stored as a digest, each sealing its successor.

A successor is sealed with the token before it, so that a phone which lost the answer to a refresh
can be given the very same answer again, although the database keeps no token: who holds the table
but not the old token cannot open the seal.
"""

import binascii
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256

_BYTES = 32
_PREFIX = "yr_"


def make() -> str:
    """Make a new refresh token of 256 random bits."""
    return _text(secrets.token_bytes(_BYTES))


def digest(token: str) -> bytes | None:
    """Return what is stored of a token, or None when the text cannot be a refresh token."""
    plain = _plain(token)
    return None if plain is None else sha256(plain).digest()


def seal(successor: str, token: str) -> bytes:
    """Seal a token's successor with the token. A seal serves once: each token has one successor."""
    return _xor(_must(successor), _pad(_must(token)))


def unseal(sealed: bytes, token: str) -> str:
    """Open what `seal` made, with the same token."""
    return _text(_xor(sealed, _pad(_must(token))))


def _pad(plain: bytes) -> bytes:
    # Another digest than the stored one, which would open the seal to whoever reads the table.
    return sha256(b"the successor of " + plain).digest()


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _text(plain: bytes) -> str:
    return _PREFIX + urlsafe_b64encode(plain).decode().rstrip("=")


def _plain(token: str) -> bytes | None:
    try:
        plain = urlsafe_b64decode(token.removeprefix(_PREFIX) + "=")
    except (binascii.Error, ValueError):
        return None
    return plain if len(plain) == _BYTES and _text(plain) == token else None


def _must(token: str) -> bytes:
    plain = _plain(token)
    if plain is None:
        raise ValueError("not a refresh token")
    return plain
