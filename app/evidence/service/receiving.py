"""The bytes of an upload come in: stored piece by piece, so that whatever breaks off costs little.

No transaction is open while bytes are awaited. Each piece is stored first and then taken in by a
transaction of its own, which moves the upload on from exactly where the piece begins.
"""

import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core import jobs
from app.core.clock import Clock
from app.core.db import Database, new_id
from app.core.errors import TooLarge
from app.core.parameter_values import parameters_in_force
from app.evidence import queries, rules
from app.evidence.models import Evidence
from app.evidence.queries import Piece
from app.evidence.rules import UploadState
from app.evidence.rules.parameters import GRACE, UPLOAD_KEPT
from app.evidence.rules.uploads import COMPLETED, Checksum, ChecksumDiffers
from app.evidence.service.settling import settle
from app.evidence.storage import Storage
from app.workorders.models import WorkOrder

# At most so many bytes are lost when a process dies.
PIECE = 256 * 1024

# Whoever sends the last byte settles the upload at once; the job does it when they cannot.
SETTLED_AFTER = timedelta(seconds=30)


@dataclass
class Stands:
    """How far an upload is: so many bytes of all, and until when the rest may come."""

    id: UUID
    bytes: int
    received: int
    state: UploadState
    expires_at: datetime
    upload_metadata: str = ""


async def stands(tx: AsyncSession, evidence_id: UUID, caller: Caller, *, now: datetime) -> Stands:
    """Say how far an upload of the caller's is.

    Raises NotFound, UploadGone when nothing can follow, PictureRefused when it was refused, and
    EvidenceClosed when it is too late for the rest.
    """
    evidence = await queries.own(tx, evidence_id, technician_of(caller))
    if evidence.state is UploadState.REFUSED:
        raise rules.PictureRefused(**(evidence.refusal or {}))
    if evidence.state is UploadState.ANNOUNCED:
        await _check_time(tx, evidence, caller, now)
    elif evidence.state is not UploadState.STORED:
        raise rules.UploadGone(state=evidence.state)
    return Stands(
        evidence.id,
        evidence.bytes,
        evidence.received,
        evidence.state,
        evidence.expires_at,
        evidence.upload_metadata,
    )


async def _check_time(tx: AsyncSession, evidence: Evidence, caller: Caller, now: datetime) -> None:
    """An order that went to somebody else does not stop the bytes of what was announced before, nor
    does its end stop those of what was announced too late."""
    if evidence.expires_at < now:
        raise rules.UploadGone(state=UploadState.EXPIRED)
    if evidence.late:
        return
    order = await tx.get_one(WorkOrder, evidence.work_order_id, populate_existing=True)
    grace_hours = (await parameters_in_force(tx)).number(GRACE, now, caller.org_path)
    if order.state in COMPLETED and not rules.is_open(
        order.state, order.completed_at, now, grace_hours
    ):
        raise rules.EvidenceClosed(state=order.state, grace_hours=grace_hours)


@dataclass
class _Taking:
    """Bytes on their way from a request into the storage, and how far the upload is by them."""

    database: Database
    storage: Storage
    clock: Clock
    upload: Stands
    hours: float
    # With a checksum nothing counts before the last byte of the request was checked.
    checksum: Checksum | None
    buffer: bytearray = field(default_factory=bytearray)
    waiting: list[Piece] = field(default_factory=list)

    @property
    def taken(self) -> int:
        """How far the upload is with what is stored and not taken in yet."""
        return self.waiting[-1].ends if self.waiting else self.upload.received

    async def store(self) -> None:
        """Store what has come as a piece, and take it in unless a checksum is to be awaited."""
        if not self.buffer:
            return
        data, begins = bytes(self.buffer), self.taken
        self.buffer.clear()
        piece = Piece(begins, begins + len(data), f"piece-{begins:012}-{new_id().hex[-12:]}")
        await self.storage.put(self.upload.id, piece.name, data)
        self.waiting.append(piece)
        if self.checksum is None:
            await self.take_in()

    async def take_in(self) -> None:
        """Move the upload on past what is stored. Raises OffsetDiffers if it stands elsewhere."""
        if not self.waiting:
            return
        async with self.database.begin() as tx:
            until = self.clock.now() + timedelta(hours=self.hours)
            moved = await queries.advance(tx, self.upload.id, self.waiting, until)
            if moved and self.taken == self.upload.bytes:
                await jobs.tell(
                    tx, "evidence.whole", delay=SETTLED_AFTER, evidence_id=self.upload.id
                )
            elif not moved:
                there = await tx.get_one(Evidence, self.upload.id, populate_existing=True)
        if not moved:
            await self.drop()
            raise rules.OffsetDiffers(offset=there.received)
        self.upload.received = self.taken
        self.upload.expires_at = max(self.upload.expires_at, until)
        self.waiting.clear()

    async def drop(self) -> None:
        """Remove what is stored and was not taken in."""
        names = [piece.name for piece in self.waiting]
        self.waiting.clear()
        await self.storage.remove(self.upload.id, names)


async def receive(
    database: Database,
    storage: Storage,
    caller: Caller,
    evidence_id: UUID,
    body: AsyncIterator[bytes],
    *,
    offset: int,
    checksum: Checksum | None,
    clock: Clock,
) -> Stands:
    """Take in the bytes of a request that continue an upload of the caller's from `offset`.

    What has come when the line breaks counts. With the last byte the picture is checked and stored.
    Raises what `stands` and `settle` raise, OffsetDiffers, TooLarge for more bytes than announced,
    ChecksumDiffers, StorageFull, and Unavailable.
    """
    async with database.begin() as tx:
        upload = await stands(tx, evidence_id, caller, now=clock.now())
        hours = (await parameters_in_force(tx)).number(UPLOAD_KEPT, clock.now(), caller.org_path)
    if offset != upload.received:
        raise rules.OffsetDiffers(offset=upload.received)
    taking = _Taking(database, storage, clock, upload, hours, checksum)
    sums = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    async for part in body:
        if taking.taken + len(taking.buffer) + len(part) > upload.bytes:
            await taking.drop()
            raise TooLarge(limit=f"{upload.bytes} bytes")
        if sums is not None:
            sums.update(part)
        taking.buffer += part
        if len(taking.buffer) >= PIECE:
            await taking.store()
    await taking.store()
    if sums is not None and checksum is not None:
        if not hmac.compare_digest(sums.digest(), checksum.digest):
            await taking.drop()
            raise ChecksumDiffers(offset=upload.received)
        await taking.take_in()
    if upload.received == upload.bytes:
        await settle(database, storage, evidence_id, now=clock.now())
    return upload
