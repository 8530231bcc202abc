"""What happens to evidence afterwards, and from time to time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import UUID

from app.auth import audit
from app.core.errors import Unavailable
from app.core.jobs import Worker, tell
from app.core.log import log
from app.evidence.rules import PictureRefused
from app.evidence.rules.uploads import StorageFull
from app.evidence.service import forgetting
from app.evidence.service.looking import look
from app.evidence.service.settling import settle
from app.evidence.storage import Storage

# When the storage is away or full, a job is told again, for as long as that lasts: nothing of what
# is to be removed may stay behind, and no picture unseen.
AGAIN = timedelta(minutes=10)


async def _storage(worker: Worker) -> Storage:
    return await worker.keep("evidence.storage", lambda: Storage.of(worker.settings))


@asynccontextmanager
async def _or_later(worker: Worker, event: str, evidence_id: str) -> AsyncIterator[None]:
    try:
        yield
    except (Unavailable, StorageFull) as trouble:
        log.warning("evidence has to wait", event_waiting=event, cause=trouble.slug)
        async with worker.database.begin() as tx:
            await tell(tx, event, delay=AGAIN, evidence_id=evidence_id)


async def settle_whole(worker: Worker, *, evidence_id: str) -> None:
    """Check and keep an upload whose last byte has come, where the request could not do it."""
    storage = await _storage(worker)
    try:
        async with _or_later(worker, "evidence.whole", evidence_id):
            await settle(worker.database, storage, UUID(evidence_id), now=worker.clock.now())
    except PictureRefused as refused:
        log.info("evidence refused", evidence_id=evidence_id, fault=refused.facts["fault"])


async def look_at_stored(worker: Worker, *, evidence_id: str) -> None:
    """Make a thumbnail, compare where and when it was taken, and take its metadata out."""
    storage = await _storage(worker)
    async with _or_later(worker, "evidence.stored", evidence_id):
        await look(worker.database, storage, UUID(evidence_id), now=worker.clock.now())


async def remove_left(worker: Worker, *, evidence_id: str) -> None:
    """Remove the files of evidence that was refused, taken back, forgotten, or did not come."""
    storage = await _storage(worker)
    async with _or_later(worker, "evidence.left", evidence_id), worker.database.begin() as tx:
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
