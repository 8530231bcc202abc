"""What did not come in time, what was taken back or refused, and what has been kept long enough."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import jobs
from app.core.parameter_values import parameters_in_force
from app.evidence import queries
from app.evidence.models import Evidence, EvidencePiece
from app.evidence.rules import UploadState
from app.evidence.rules.parameters import KEPT
from app.evidence.storage import Storage
from app.workorders.queries import org_units

# Rows a round takes at most; the next one goes on.
ROUND = 500


async def expire(tx: AsyncSession, *, now: datetime) -> int:
    """End uploads whose bytes did not come in time; tells how many."""
    found = await queries.expiring(tx, now, ROUND)
    for evidence in found:
        evidence.state, evidence.received = UploadState.EXPIRED, 0
        await jobs.tell(tx, "evidence.left", evidence_id=evidence.id)
    await tx.flush()
    return len(found)


async def forget(tx: AsyncSession, *, now: datetime) -> int:
    """Forget pictures that have been kept as long as their org unit keeps them; tells how many.

    The records of them stay; the files go by the job that this tells.
    """
    numbers = await parameters_in_force(tx)
    units = (await org_units(tx)).by_id.values()
    before = [(one.id, now - timedelta(days=numbers.number(KEPT, now, one.path))) for one in units]
    forgotten = await queries.forget(tx, before, now, ROUND)
    if forgotten:
        audit.note(
            tx, table="evidence", operation="update", ids=forgotten, columns=["forgotten_at"]
        )
    for evidence_id in forgotten:
        await jobs.tell(tx, "evidence.left", evidence_id=evidence_id)
    return len(forgotten)


async def leave(tx: AsyncSession, storage: Storage, evidence_id: UUID, *, now: datetime) -> None:
    """Remove the files of evidence that is awaited no more, or was forgotten or taken back.

    A picture that other evidence needs stays. The row is held meanwhile, so that the upload cannot
    go on. It can be done twice without harm. Raises Unavailable.
    """
    evidence = await queries.for_change(tx, evidence_id)
    if evidence is None or not _is_over(evidence):
        return
    if evidence.blob_sha256 is not None:
        await _leave_blob(tx, storage, evidence.blob_sha256, now)
        return
    await tx.execute(delete(EvidencePiece).where(EvidencePiece.evidence_id == evidence_id))
    await storage.remove(evidence_id, await storage.names(evidence_id))


def _is_over(evidence: Evidence) -> bool:
    if evidence.state is UploadState.STORED:
        return evidence.forgotten_at is not None
    return evidence.state is not UploadState.ANNOUNCED


async def _leave_blob(tx: AsyncSession, storage: Storage, sha256: str, now: datetime) -> None:
    blob = await queries.blob_for_change(tx, sha256)
    if blob is None or await queries.still_used(tx, sha256):
        return
    blob.forgotten_at = blob.forgotten_at or now
    blob.taken_at = blob.point = None
    # Whoever brings the same picture anew has a folder of their own.
    await storage.remove(blob.folder, await storage.names(blob.folder))
