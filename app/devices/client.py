"""The way out to whoever wakes phones: one push a request, which says why and nothing else."""

from typing import Protocol
from uuid import UUID

from app.core.log import log
from app.core.outside import NoAnswer, Outside, failed
from app.devices.rules import PushProvider, PushWhy


class Pushes(Protocol):
    """What can wake a phone."""

    async def push(
        self, push_id: UUID, *, device_id: UUID, provider: PushProvider, token: str, why: PushWhy
    ) -> None:
        """Wake a phone. Raises `core.outside.Failed`."""


class LoggedPushes:
    """Wakes nobody and says in the log that it would have; where no provider is set."""

    async def push(
        self, push_id: UUID, *, device_id: UUID, provider: PushProvider, token: str, why: PushWhy
    ) -> None:
        """Log a push."""
        log.info("push", device=str(device_id), provider=provider.value, why=why.value)


class PushClient(Outside):
    """A gateway to the services of phones' makers; `base_url` ends where `/pushes` begins."""

    async def push(
        self, push_id: UUID, *, device_id: UUID, provider: PushProvider, token: str, why: PushWhy
    ) -> None:
        """Have a phone woken; the same push a second time is known by `Idempotency-Key`.

        What is shown on a locked screen passes through others' services, so nothing is said but
        why. Raises `core.outside.Failed`; refused means that the token opens nothing.
        """
        body = {
            "id": str(push_id),
            "device_id": str(device_id),
            "provider": provider.value,
            "token": token,
            "data": {"why": why.value},
        }
        try:
            reply = await self.exchange(
                "POST", "pushes", body=body, headers={"Idempotency-Key": str(push_id)}
            )
        except NoAnswer as nothing:
            raise failed(nothing) from nothing
        if not 200 <= reply.status < 300:
            raise failed(reply)
