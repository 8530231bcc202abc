"""What the worker does for activations: at once when one is asked for, and again when it is due."""

from uuid import UUID

from app.activation import queries, service
from app.activation.client import platform_of
from app.core.jobs import Worker, for_each
from app.core.log import log

AT_ONCE = 16
A_SWEEP = 200


async def put(worker: Worker, *, activation_id: str) -> None:
    """Put to the platform what was just asked for; what fails is taken up by `sweep`."""
    if not worker.settings.activation_url:
        log.warning("no activation platform is set (YINGWEI_ACTIVATION_URL); the line waits")
        return
    await _put(worker, UUID(activation_id))


async def _put(worker: Worker, activation_id: UUID) -> None:
    platform = await platform_of(worker)
    assert platform is not None
    await service.put_to_platform(
        worker.database.begin,
        platform,
        activation_id,
        time_limit=worker.settings.activation_timeout_seconds,
    )


async def sweep(worker: Worker) -> None:
    """Take up every activation that is due: tries again, looks, and those whose worker died."""
    if not worker.settings.activation_url:
        return
    async with worker.database.read() as session:
        due = await queries.due(session, A_SWEEP)
    await for_each(due, lambda activation_id: _put(worker, activation_id), at_once=AT_ONCE)
