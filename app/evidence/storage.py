"""Where the bytes of evidence lie: a local folder, or a bucket that speaks S3, behind one door.

A file is written as a whole or not at all, and never rewritten with other bytes. Every file belongs
to the folder of one upload, so that what an upload leaves behind can be found and removed.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, MemoryStore, S3Store

from app.core.errors import Problem, Unavailable
from app.core.settings import Settings
from app.evidence.rules.uploads import StorageFull

Store = LocalStore | S3Store | MemoryStore

# What goes over at a time when a file is read.
CHUNK = 256 * 1024
AGAIN_AFTER_SECONDS = 30

# So many whole pictures one process holds in memory.
PICTURES_AT_ONCE = 4


def folder_of(upload_id: UUID) -> str:
    """Name an upload's folder. Ids begin with the time, so some hours' uploads lie together, and
    no directory of a local disk grows without end."""
    return f"{upload_id.hex[:6]}/{upload_id.hex}"


class Storage:
    """Keeps files by name; raises StorageFull, and Unavailable when it cannot be reached."""

    def __init__(self, make: Callable[[], Store], root: Path | None = None) -> None:
        self._make = make
        self._root = root
        self._made: Store | None = None
        # Whoever reads a whole picture takes a turn, so that memory stays bounded.
        self.turn = asyncio.Semaphore(PICTURES_AT_ONCE)

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Make the storage of the settings; nothing is touched before the first use."""
        if not settings.evidence_bucket:
            root = settings.evidence_folder.absolute()
            return cls(lambda: LocalStore(root, mkdir=True, automatic_cleanup=True), root)
        return cls(lambda: _bucket(settings))

    async def __aenter__(self) -> Self:
        """Enter; there is nothing to open."""
        return self

    async def __aexit__(self, *error: object) -> None:
        """Leave; there is nothing to close."""

    @property
    def _store(self) -> Store:
        if self._made is None:
            self._made = self._make()
        return self._made

    async def put(self, upload_id: UUID, name: str, data: bytes, *, lasting: bool = False) -> None:
        """Keep a file, as a whole or not at all; `lasting` waits until a local disk has it."""
        path = f"{folder_of(upload_id)}/{name}"
        try:
            # In one request: a picture is far smaller than what a bucket takes at once.
            await obstore.put_async(self._store, path, data, use_multipart=False)
            if lasting and self._root is not None:
                await asyncio.to_thread(_synced, self._root / path)
        except (BaseError, OSError) as error:
            raise _trouble(error) from error

    async def read(self, upload_id: UUID, name: str) -> bytes:
        """Read a file as a whole. Raises FileNotFoundError when it is not there."""
        return b"".join([part async for part in await self.stream(upload_id, name)])

    async def stream(self, upload_id: UUID, name: str) -> AsyncIterator[bytes]:
        """Open a file, to be read in parts. Raises FileNotFoundError when it is not there."""
        try:
            found = await obstore.get_async(self._store, f"{folder_of(upload_id)}/{name}")
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise _trouble(error) from error
        return _parts(found)

    async def names(self, upload_id: UUID) -> list[str]:
        """List the files in an upload's folder."""
        folder = f"{folder_of(upload_id)}/"
        try:
            return [
                meta["path"].removeprefix(folder)
                async for some in obstore.list(self._store, folder)
                for meta in some
            ]
        except (BaseError, OSError) as error:
            raise _trouble(error) from error

    async def remove(self, upload_id: UUID, names: Sequence[str]) -> None:
        """Remove files of an upload; what is not there is removed already."""
        paths = [f"{folder_of(upload_id)}/{name}" for name in names]
        # A bucket removes many in one request and never minds; a folder stops at what is missing.
        together = [[path] for path in paths] if self._root is not None else [paths]
        for some in filter(None, together):
            try:
                await obstore.delete_async(self._store, some)
            except FileNotFoundError:
                continue
            except (BaseError, OSError) as error:
                raise _trouble(error) from error


async def _parts(found: "obstore.GetResult") -> AsyncIterator[bytes]:
    try:
        async for part in found.stream(min_chunk_size=CHUNK):
            yield bytes(part)
    except (BaseError, OSError) as error:
        raise _trouble(error) from error


def _bucket(settings: Settings) -> S3Store:
    given: dict[str, Any] = {}
    if settings.evidence_endpoint:
        given["endpoint"] = settings.evidence_endpoint
    if settings.evidence_access_key.get_secret_value():
        given["access_key_id"] = settings.evidence_access_key.get_secret_value()
        given["secret_access_key"] = settings.evidence_secret_key.get_secret_value()
    seconds = timedelta(seconds=settings.evidence_timeout_seconds)
    return S3Store(
        settings.evidence_bucket,
        region=settings.evidence_region,
        virtual_hosted_style_request=False,
        client_options={
            "allow_http": settings.evidence_endpoint.startswith("http://"),
            "timeout": seconds,
            "connect_timeout": timedelta(seconds=3),
        },
        retry_config={"max_retries": 2, "retry_timeout": seconds},
        **given,
    )


def _synced(path: Path) -> None:
    """Wait until a file and its name are on the disk, so that a power cut does not take them."""
    for each, flags in ((path, os.O_RDONLY), (path.parent, os.O_RDONLY | os.O_DIRECTORY)):
        descriptor = os.open(each, flags)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


# What the system says when a disk, a quota or a process's limit leaves no room: ENOSPC, EDQUOT and
# EFBIG. The store passes it on in its message alone.
_NO_ROOM = ("(os error 28)", "(os error 122)", "(os error 27)", "XMinioStorageFull")


def _trouble(error: Exception) -> Problem:
    if any(sign in str(error) for sign in _NO_ROOM):
        return StorageFull(retry_after=AGAIN_AFTER_SECONDS)
    return Unavailable(retry_after=AGAIN_AFTER_SECONDS, reason="the storage cannot be reached")
