"""What the worker does for alerts: addresses are told what waits for them."""

from app.alerts import queries, rules, service
from app.alerts.client import Webhooks, sealer_of
from app.auth import audit
from app.core.jobs import Worker
from app.core.log import log

AT_ONCE = 8


async def send(worker: Worker) -> None:
    """Tell addresses what is due for them, until nothing is."""
    settings = worker.settings

    def client() -> Webhooks:
        return Webhooks(
            rules.hosts_of(settings.webhook_hosts),
            time_limit=settings.webhook_timeout_seconds,
            connections=AT_ONCE,
        )

    webhooks, sealer = await worker.keep("webhooks", client), sealer_of(settings)
    tried = AT_ONCE
    while tried == AT_ONCE:
        tried = await service.send_due(
            worker.database.begin,
            webhooks,
            sealer,
            most=AT_ONCE,
            time_limit=settings.webhook_timeout_seconds,
            now=worker.clock.now(),
        )


async def seal_secrets(worker: Worker) -> None:
    """Seal the secrets of addresses that are kept as they are, or with a key that seals no more."""
    sealer = sealer_of(worker.settings)
    if sealer is None:
        async with worker.database.read() as session:
            if await queries.any_webhook(session):
                log.warning("secrets of webhooks want a key (YINGWEI_WEBHOOK_SECRET_KEYS)")
        return
    async with worker.database.begin() as tx:
        audit.acting(tx, "alerts.seal_secrets")
        await service.seal_secrets(tx, sealer)
