"""What the customer's telephone has shown."""

import re
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.messaging.models import Message
from app.messaging.rules import MessageKind


async def texts_about(tx: AsyncSession, kind: MessageKind, about: UUID) -> list[str]:
    """Read what messages a customer's telephone has shown, oldest first."""
    found = await tx.scalars(
        select(Message.body)
        .where(Message.kind == kind, Message.about == about)
        .order_by(Message.id)
    )
    return [text or "" for text in found]


async def code_on_telephone(tx: AsyncSession, visit_id: UUID) -> str:
    """Read the last acceptance code on the customer's telephone."""
    last = (await texts_about(tx, MessageKind.ACCEPTANCE_CODE, visit_id))[-1]
    (code,) = re.findall(r"(?<!\d)\d{6}(?!\d)", last)
    return str(code)


def another(code: str, by: int = 1) -> str:
    """Give a code that is not this one."""
    return f"{(int(code) + by) % 1_000_000:06}"
