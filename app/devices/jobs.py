"""What the worker does for phones: those that are to be woken are woken."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.devices import queries, service
from app.devices.client import LoggedPushes, PushClient, Pushes

A_ROUND = 200


async def _pushes(worker: Worker) -> Pushes:
    settings = worker.settings
    if not settings.push_url:
        return LoggedPushes()

    def client() -> PushClient:
        return PushClient(
            settings.push_url,
            token=settings.push_token.get_secret_value(),
            time_limit=settings.push_timeout_seconds,
        )

    return await worker.keep("pushes", client)


async def wake(worker: Worker) -> None:
    """Wake the phones that are due."""
    await service.wake(worker.database.begin, await _pushes(worker), most=A_ROUND)


async def wipe_asked(worker: Worker, *, device_id: str) -> None:
    """Have a phone woken that is to be emptied."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "devices.wipe_asked")
        await queries.mark_wipe(tx, UUID(device_id))


async def alert_pressing(worker: Worker, *, org_path: str, levels: int) -> None:
    """Have the phones woken of those supervisors who have to look at an alert."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "devices.alert_pressing")
        await queries.mark_alert(tx, org_path, levels)
