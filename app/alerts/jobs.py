"""What the worker does for alerts: addresses are told what waits for them."""

from app.alerts import rules, service
from app.alerts.client import Webhooks
from app.core.jobs import Worker

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

    webhooks = await worker.keep("webhooks", client)
    tried = AT_ONCE
    while tried == AT_ONCE:
        tried = await service.send_due(
            worker.database.begin,
            webhooks,
            most=AT_ONCE,
            time_limit=settings.webhook_timeout_seconds,
            now=worker.clock.now(),
        )
