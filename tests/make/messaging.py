"""A messaging provider made of paper, and messages to give it."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.outside import Failed
from app.messaging import service
from app.messaging.client import MessagingClient
from app.messaging.rules import MessageKind
from tests.conftest import MONDAY_NINE


@dataclass
class PaperMessaging(MessagingClient):
    """The twin of the client: keeps what it was sent, and fails with what the test lays ready."""

    to_raise: list[Failed] = field(default_factory=list)
    sent: list[tuple[UUID, str, str]] = field(default_factory=list)

    async def send(self, message_id: UUID, *, to: str, text: str, kind: MessageKind) -> str | None:
        """Take a message."""
        self.sent.append((message_id, to, text))
        if self.to_raise:
            raise self.to_raise.pop(0)
        return f"paper-{len(self.sent)}"


async def make_message(tx: AsyncSession, org_unit: OrgUnit, **given: Any) -> UUID:
    """Have an acceptance code sent to a customer."""
    asked: dict[str, Any] = {
        "kind": MessageKind.ACCEPTANCE_CODE,
        "to": "138 1234-1234",
        "about": None,
        "facts": {"code": "482913", "minutes": 30},
        "now": MONDAY_NINE,
    }
    return await service.send(tx, org_unit_id=org_unit.id, **{**asked, **given})
