"""What the worker does for messages: at once when one is asked for, and again when it is due."""

import contextlib
from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker, for_each
from app.core.log import log
from app.core.outside import Failed
from app.messaging import queries, service
from app.messaging.client import CONSOLE, ConsoleMessages, Messages, MessagingClient

AT_ONCE = 8
A_SWEEP = 200


async def deliver(worker: Worker, *, message_id: str) -> None:
    """Hand over a message that was just asked for; what fails is taken up by `sweep`."""
    if not worker.settings.messaging_url:
        log.warning("no messaging provider is set (YINGWEI_MESSAGING_URL); the message waits")
        return
    await _deliver(worker, UUID(message_id))


async def _provider(worker: Worker) -> MessagingClient:
    settings = worker.settings

    def client() -> MessagingClient:
        return MessagingClient(
            settings.messaging_url,
            token=settings.messaging_token.get_secret_value(),
            time_limit=settings.messaging_timeout_seconds,
            connections=AT_ONCE * 2,
        )

    return await worker.keep("messaging", client)


async def _deliver(worker: Worker, message_id: UUID) -> None:
    settings = worker.settings
    client: Messages
    if settings.messaging_url == CONSOLE:
        client = ConsoleMessages(shown=settings.log_format == "console")
    else:
        client = await _provider(worker)
    await service.deliver(
        worker.database.begin,
        client,
        message_id,
        time_limit=settings.messaging_timeout_seconds,
    )


async def poll(worker: Worker) -> None:
    """Read what customers have sent back; a provider that is away is asked again the next time."""
    settings = worker.settings
    if settings.messaging_url in ("", CONSOLE) or not settings.messaging_polls:
        return
    with contextlib.suppress(Failed):
        await service.poll(worker.database.begin, await _provider(worker))


async def sweep(worker: Worker) -> None:
    """Take up every message that is due: tries again, and those whose worker died."""
    if not worker.settings.messaging_url:
        return
    async with worker.database.read() as session:
        due = await queries.due(session, A_SWEEP)
    await for_each(due, lambda message_id: _deliver(worker, message_id), at_once=AT_ONCE)


async def forget(worker: Worker) -> None:
    """Forget whom messages went to and what they said, some time after their end."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "messaging.forget")
        await service.forget(tx)
