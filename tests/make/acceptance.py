"""Work that the customer has to accept, and the customer's telephone."""

import re
from dataclasses import replace
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.messaging.models import Message
from app.messaging.rules import MessageKind
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import READ
from app.worktypes.rules import BUILT_IN, Acceptance, WorkType


async def make_template(
    tx: AsyncSession, work_type: WorkType = WorkType.REPAIR, **asks: Any
) -> WorkTemplate:
    """Add a version of a work type's template: what is built in, and what it asks for beside."""
    given = {"acceptance": Acceptance.CODE, **asks}
    template = WorkTemplate(
        id=new_id(),
        code=f"T{new_id().hex[-8:]}",
        version=1,
        org_path="",
        work_type=work_type,
        valid_from=date(2020, 1, 1),
        content=READ.dump_python(replace(BUILT_IN[work_type], **given), mode="json"),
    )
    tx.add(template)
    await tx.flush()
    return template


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
