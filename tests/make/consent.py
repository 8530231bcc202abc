"""Customers who are asked by message, and who write back."""

import re
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import fetched, new_id
from app.messaging import service as messaging
from app.messaging.rules import Came, MessageKind
from app.sales import service
from tests.make.acceptance import texts_about

OTP, REPLY = MessageKind.CONSENT_CODE, MessageKind.CONSENT_REPLY


def request_body(kind: str = "otp", **fields: Any) -> dict[str, Any]:
    """Write what a phone posts to have a customer asked by message."""
    return {"id": str(new_id()), "kind": kind, **fields}


async def code_told(tx: AsyncSession, sale_id: UUID) -> str:
    """Read the last code on the customer's telephone."""
    last = (await texts_about(tx, OTP, sale_id))[-1]
    return str(re.findall(r"(?<!\d)\d{6}(?!\d)", last)[-1])


async def reference_told(
    tx: AsyncSession, sale_id: UUID, kind: MessageKind = MessageKind.CONSENT_REPLY
) -> str:
    """Read the reference on the telephone of whom was asked to reply."""
    return str(re.findall(r"Y(\d{4})", (await texts_about(tx, kind, sale_id))[-1])[-1])


async def write_back(
    tx: AsyncSession,
    number: str,
    text: str,
    *,
    now: datetime,
    reply_id: str | None = None,
    said_at: datetime | None = None,
) -> UUID | None:
    """Send a text back as a customer does, and do what the worker does with it."""
    came = Came(reply_id or new_id().hex, number, text, said_at or wall())
    await messaging.take_replies(tx, [came])
    find = "SELECT id FROM message_reply WHERE provider_id = %(id)s"
    ((taken,),) = await fetched(tx, find, {"id": came.provider_id})
    answered = await service.take_reply(tx, taken, now=now)
    await tx.flush()
    return answered
