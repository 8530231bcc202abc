"""What happens to evidence afterwards, and from time to time."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.core.log import log
from app.evidence.rules import PictureRefused
from app.evidence.service import forgetting
from app.evidence.service.looking import look
from app.evidence.service.settling import settle
from app.evidence.storage import Storage


async def _storage(worker: Worker) -> Storage:
    return await worker.keep("evidence.storage", lambda: Storage.of(worker.settings))


async def settle_whole(worker: Worker, *, evidence_id: str) -> None:
    """Check and keep an upload whose last byte has come, where the request could not do it."""
    storage = await _storage(worker)
    try:
        await settle(worker.database, storage, UUID(evidence_id), now=worker.clock.now())
    except PictureRefused as refused:
        log.info("evidence refused", evidence_id=evidence_id, fault=refused.facts["fault"])


async def look_at_stored(worker: Worker, *, evidence_id: str) -> None:
    """Make a thumbnail, compare where and when it was taken, and take its metadata out."""
    storage = await _storage(worker)
    await look(worker.database, storage, UUID(evidence_id), now=worker.clock.now())


async def remove_left(worker: Worker, *, evidence_id: str) -> None:
    """Remove the files of evidence that was refused, taken back, forgotten, or did not come."""
    storage = await _storage(worker)
    async with worker.database.begin() as tx:
        audit.acting(tx, "evidence.remove_left")
        await forgetting.leave(tx, storage, UUID(evidence_id), now=worker.clock.now())


async def expire(worker: Worker) -> None:
    """End uploads whose bytes did not come in time."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "evidence.expire")
        await forgetting.expire(tx, now=worker.clock.now())


async def forget(worker: Worker) -> None:
    """Forget pictures that were kept long enough, a round at a time until none is left."""
    while True:
        async with worker.database.begin() as tx:
            audit.acting(tx, "evidence.forget")
            if await forgetting.forget(tx, now=worker.clock.now()) < forgetting.ROUND:
                return
