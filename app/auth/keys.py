"""Signing keys: a folder of Ed25519 private keys, one PEM file each; the newest signs.

The key id is the file's name without `.pem`. Names begin with the time the key was made, so the
greatest name is the newest key. To rotate, make one more key; delete an old file when no token it
signed can be valid any more (an hour is plenty) and restart.
"""

import fcntl
import hmac
import os
import tempfile
import time
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from app.auth.rules import Caller
from app.core.clock import wall

# An unknown key id makes us look into the folder again, but not more often than this: another
# process may sign with a key made since we started, and anybody may send us invented key ids.
LOOK_AGAIN_SECONDS = 5.0

# How many proved tokens a process remembers; one takes about a kilobyte.
PROVED_TOKENS = 20_000


class KeyUnusable(Exception):
    """A file among the signing keys is not an Ed25519 private key; the words name the file."""

    exit_code = 1


class KeyRing:
    """The keys of one process, and the tokens it has already proved with them."""

    def __init__(self, folder: Path, keys: dict[str, Ed25519PrivateKey]) -> None:
        self._folder = folder
        self._keys = keys
        self._public = {key_id: key.public_key() for key_id, key in keys.items()}
        self._looked_at = time.monotonic()
        # Digest of a token -> (the moment it is no longer good, in unix seconds, and its caller).
        self.proved: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    @classmethod
    def load(cls, folder: Path) -> "KeyRing":
        """Read the keys of a folder; an empty or missing folder gets its first key.

        Several processes may do this at once: they end up with the same key. Raises KeyUnusable.
        """
        keys = _read(folder)
        if not keys:
            with _alone_in(folder):
                keys = _read(folder)
                if not keys:
                    make_key(folder)
                    keys = _read(folder)
        return cls(folder, keys)

    @property
    def signing(self) -> tuple[str, Ed25519PrivateKey]:
        """The key that signs, with its id: the newest."""
        key_id = max(self._keys)
        return key_id, self._keys[key_id]

    def public(self, key_id: str) -> Ed25519PublicKey | None:
        """Return the public key of an id, or None when there is no such key."""
        known = self._public.get(key_id)
        if known is None and time.monotonic() - self._looked_at >= LOOK_AGAIN_SECONDS:
            self._looked_at = time.monotonic()
            self._keys = _read(self._folder) or self._keys
            self._public = {name: key.public_key() for name, key in self._keys.items()}
            known = self._public.get(key_id)
        return known

    def seal(self, what: str, content: str, key_id: str | None = None) -> tuple[str, bytes] | None:
        """Hash what only few could be, such as a short code, so that nobody can guess it who has
        the hash alone: keyed by a secret of the newest key, or of the one with this id.

        `what` keeps the uses apart. Answers with the key's id and the hash (HMAC-SHA256); None when
        that key is no more.
        """
        key_id = key_id or max(self._keys)
        key = self._keys.get(key_id) if self.public(key_id) is not None else None
        if key is None:
            return None
        secret = HKDF(SHA256(), length=32, salt=None, info=what.encode()).derive(
            key.private_bytes_raw()
        )
        return key_id, hmac.digest(secret, content.encode(), "sha256")

    def remember(self, digest: bytes, until: float, caller: Caller) -> None:
        """Keep a proved token's caller until a moment (unix seconds), dropping the least used."""
        self.proved[digest] = (until, caller)
        if len(self.proved) > PROVED_TOKENS:
            self.proved.popitem(last=False)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Write the public keys as a JSON Web Key Set (RFC 7517, RFC 8037), the newest first."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "alg": "EdDSA",
                    "use": "sig",
                    "kid": key_id,
                    "x": _base64url(key.public_bytes(Encoding.Raw, PublicFormat.Raw)),
                }
                for key_id, key in sorted(self._public.items(), reverse=True)
            ]
        }


def make_key(folder: Path) -> str:
    """Put a new private key into a folder, readable by its owner alone; the answer is its id."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    key_id = f"{wall():%Y%m%dT%H%M%S%fZ}-{_base64url(public)[:8]}"
    # Written aside and moved, so that nobody ever reads half a key; mkstemp makes it 0600.
    handle, path = tempfile.mkstemp(dir=folder, suffix=".new")
    with os.fdopen(handle, "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    Path(path).rename(folder / f"{key_id}.pem")
    return key_id


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder's lock file; a process that dies gives it up by dying."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _read(folder: Path) -> dict[str, Ed25519PrivateKey]:
    keys = {}
    for path in folder.glob("*.pem"):
        try:
            key = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise KeyUnusable(f"{path} is not a private key without a passphrase") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyUnusable(f"{path} is a private key, but not of the kind Ed25519")
        keys[path.stem] = key
    return keys


def _base64url(plain: bytes) -> str:
    return urlsafe_b64encode(plain).decode().rstrip("=")
