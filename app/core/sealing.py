"""Secrets that this system has to use again are kept sealed: whoever reads the table alone can use
none of them. The keys are settings, which are kept elsewhere."""

import re
from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_bytes

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE = 12


class KeysUnreadable(ValueError):
    """A setting of keys is not what it should be; the words never repeat it."""


class CannotBeOpened(Exception):
    """What was sealed cannot be opened: its key is no more, or it belongs to somebody else."""


def read_keys(text: str, what: str) -> tuple[tuple[str, bytes], ...]:
    """Read `id:base64,id:base64`, each key of 32 bytes or more, the newest first; `what` says of
    which keys an error speaks. Raises KeysUnreadable."""
    keys = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        key_id, _, secret = part.partition(":")
        try:
            key = b64decode(secret, validate=True)
        except NotBase64 as error:
            raise KeysUnreadable(f"a key of {what} is not base64") from error
        if not re.fullmatch(r"[\w.\-]{1,40}", key_id) or len(key) < 32:
            raise KeysUnreadable(f"a key of {what} needs an id and 32 bytes, as in id:base64")
        keys.append((key_id, key))
    return tuple(keys)


@dataclass(frozen=True, repr=False)
class Sealer:
    """The keys under which secrets of one kind are sealed, the newest first.

    To rotate, put a new one in front: it seals from then on, and what the others have sealed can be
    opened as long as they stay in the list.
    """

    what: str
    keys: Sequence[tuple[str, bytes]]

    @classmethod
    def read(cls, text: str, what: str) -> "Sealer | None":
        """Read keys as `read_keys` does; None of an empty text. Raises KeysUnreadable."""
        keys = read_keys(text, what)
        return cls(what, keys) if keys else None

    def seal(self, secret: str, owner: str) -> str:
        """Seal a secret (ChaCha20-Poly1305) for its owner alone; the answer names the key before a
        colon."""
        key_id, key = self.keys[0]
        nonce = token_bytes(_NONCE)
        sealed = nonce + self._cipher(key).encrypt(nonce, secret.encode(), owner.encode())
        return f"{key_id}:{b64encode(sealed).decode()}"

    def opened(self, sealed: str, owner: str) -> str:
        """Give the secret that was sealed for an owner. Raises CannotBeOpened."""
        key_id, _, written = sealed.partition(":")
        key = dict(self.keys).get(key_id)
        if key is None:
            raise CannotBeOpened(f"there is no key {key_id} of {self.what}")
        content = b64decode(written)
        try:
            plain = self._cipher(key).decrypt(content[:_NONCE], content[_NONCE:], owner.encode())
        except InvalidTag as error:
            raise CannotBeOpened(f"it was not sealed with the key {key_id} for this") from error
        return plain.decode()

    def is_newest(self, sealed: str) -> bool:
        """Tell whether something is sealed, and with the key that seals now."""
        return sealed.startswith(f"{self.keys[0][0]}:")

    def _cipher(self, key: bytes) -> ChaCha20Poly1305:
        # Of each key a secret for this use alone, of the length that the cipher wants.
        own = HKDF(SHA256(), length=32, salt=None, info=self.what.encode()).derive(key)
        return ChaCha20Poly1305(own)


def is_sealed(written: str) -> bool:
    """Tell what is sealed from a signing secret as people write it, which has no colon."""
    return ":" in written
