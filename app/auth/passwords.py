"""Passwords: Argon2id hashes, computed aside so that the event loop goes on meanwhile."""

import asyncio
import functools
from concurrent.futures import ThreadPoolExecutor

from pwdlib import PasswordHash

_ARGON2 = PasswordHash.recommended()

# Each hash takes 64 MB and tens of milliseconds of one core: two at a time bound both, and a storm
# of logins queues here instead of starving everything else of threads. No thread starts before use.
_ASIDE = ThreadPoolExecutor(max_workers=2, thread_name_prefix="argon2")


async def hashed(password: str) -> str:
    """Hash a password with a salt of its own."""
    return await asyncio.get_running_loop().run_in_executor(_ASIDE, _ARGON2.hash, password)


async def fits(password: str, password_hash: str | None) -> bool:
    """Tell whether a password is the one that was hashed.

    `password_hash` None (there is no such account) takes the same time and is never right.
    """
    return await asyncio.get_running_loop().run_in_executor(_ASIDE, _fits, password, password_hash)


def _fits(password: str, password_hash: str | None) -> bool:
    nobody = _nobodys_hash()
    right = _ARGON2.verify(password, password_hash or nobody)
    return right and password_hash is not None


@functools.cache
def _nobodys_hash() -> str:
    return _ARGON2.hash("nobody's password")
