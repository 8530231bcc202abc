"""An upload is whole: its content is checked, and kept as a picture or refused."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.db import Database
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.evidence import pictures, queries
from app.evidence.models import Blob, Evidence, EvidencePiece
from app.evidence.pictures import Found
from app.evidence.rules import Limits, PictureFault, PictureRefused, UploadState
from app.evidence.rules.parameters import (
    LEAST_INK,
    LEAST_SIDE,
    MOST_MEGAPIXELS,
    SIGNATURE_SIDE,
)
from app.evidence.storage import Storage
from app.workorders.queries import org_units
from app.worktypes.rules import EvidenceKind

# What a picture's file is called before it was looked at.
SENT = "sent"

# A signature is drawn on a part of the screen; below this nobody could read it.
_SIGNATURE_LEAST_SIDE = 40


async def settle(database: Database, storage: Storage, evidence_id: UUID, *, now: datetime) -> None:
    """Check an upload whose bytes are all there, and keep it; one that is not whole, or settled
    already, is left alone.

    It may be called by several at once. Raises PictureRefused, and then nothing of it is kept;
    StorageFull or Unavailable, and then it stays whole and can be settled later.
    """
    async with database.begin() as tx:
        evidence = await tx.get(Evidence, evidence_id, populate_existing=True)
        if evidence is None or not _is_whole(evidence):
            return
        pieces = await queries.pieces(tx, evidence_id)
        org_path = (
            (await org_units(tx, ids=[evidence.org_unit_id])).by_id[evidence.org_unit_id].path
        )
        limits = limits_of(await parameters_in_force(tx), evidence.kind, now, org_path)
    names = [piece.name for piece in pieces]
    try:
        async with storage.turn:
            found = await _stored(storage, evidence, names, limits)
    except FileNotFoundError:
        # A disk has lost a piece after all, unless somebody else has settled it meanwhile.
        await _refuse(database, evidence_id, PictureRefused.of(PictureFault.DAMAGED))
    except PictureRefused as refused:
        await _refuse(database, evidence_id, refused)
    else:
        async with database.begin() as tx:
            await _keep(tx, evidence_id, found, now)


async def _stored(
    storage: Storage, evidence: Evidence, names: Sequence[str], limits: Limits
) -> Found:
    data = b"".join([await storage.read(evidence.id, name) for name in names])
    found = await pictures.aside(_checked, data, evidence.sha256, limits)
    await storage.put(evidence.id, SENT, data, lasting=True)
    return found


def limits_of(numbers: Parameters, kind: EvidenceKind, now: datetime, org_path: str) -> Limits:
    """Read what a picture of a kind may be, as is in force at a moment for an org unit."""
    most_pixels = round(numbers.number(MOST_MEGAPIXELS, now, org_path) * 1_000_000)
    if kind is EvidenceKind.SIGNATURE:
        return Limits(
            _SIGNATURE_LEAST_SIDE,
            numbers.whole(SIGNATURE_SIDE, now, org_path),
            most_pixels,
            numbers.number(LEAST_INK, now, org_path),
        )
    return Limits(numbers.whole(LEAST_SIDE, now, org_path), None, most_pixels, None)


def _is_whole(evidence: Evidence) -> bool:
    return evidence.state is UploadState.ANNOUNCED and evidence.received == evidence.bytes


def _checked(data: bytes, sha256: str, limits: Limits) -> Found:
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise PictureRefused.of(PictureFault.OTHER_BYTES, announced=sha256, found=found)
    return pictures.inspect(data, limits)


async def _refuse(database: Database, evidence_id: UUID, refused: PictureRefused) -> None:
    async with database.begin() as tx:
        evidence = await queries.for_change(tx, evidence_id)
        if evidence is None or not _is_whole(evidence):
            return
        evidence.state, evidence.refusal = UploadState.REFUSED, refused.facts
        await jobs.tell(tx, "evidence.left", evidence_id=evidence_id)
    raise refused


async def _keep(tx: AsyncSession, evidence_id: UUID, found: Found, now: datetime) -> None:
    evidence = await queries.for_change(tx, evidence_id)
    if evidence is None or not _is_whole(evidence):
        return
    blob = await _blob(tx, evidence, found)
    evidence.blob_sha256 = blob.sha256
    evidence.state, evidence.stored_at = UploadState.STORED, now
    await tx.execute(delete(EvidencePiece).where(EvidencePiece.evidence_id == evidence_id))
    await jobs.tell(tx, "evidence.stored", evidence_id=evidence_id)


async def _blob(tx: AsyncSession, evidence: Evidence, found: Found) -> Blob:
    """Give the picture that has this content, under its row lock; it may be there already, as of
    another upload, and is brought back if it was forgotten."""
    blob = await queries.blob_made(tx, evidence.sha256, evidence.id, found)
    if blob.forgotten_at is not None:
        blob.folder, blob.forgotten_at, blob.looked_at = evidence.id, None, None
        blob.media_type, blob.width, blob.height = found
        await tx.flush()
    return blob
