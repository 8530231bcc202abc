"""Rules of follow-ups, and follow-ups in each state: the smallest honest ones."""

import re
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.followups.models import FollowUp, FollowUpRule
from app.followups.rules import FollowUpChannel, FollowUpState
from app.messaging.rules import MessageKind
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.acceptance import texts_about

PAGE = "https://example.org/survey/{token}"


async def make_rule(tx: AsyncSession, **fields: Any) -> FollowUpRule:
    """Add a rule for all: every repair is asked about at once by a survey of seven days."""
    given: dict[str, Any] = {
        "id": new_id(),
        "code": f"R{new_id().hex[-8:]}",
        "org_path": "",
        "work_type": WorkType.REPAIR,
        "valid_from": date(2020, 1, 1),
        "valid_to": None,
        "channel": FollowUpChannel.SURVEY,
        "share_percent": 100.0,
        "delay_hours": 0.0,
        "valid_days": 7,
        "quiet_days": 30,
        "spares_do_not_disturb": True,
    }
    rule = FollowUpRule(**{**given, **fields})
    tx.add(rule)
    await tx.flush()
    return rule


async def make_follow_up(
    tx: AsyncSession, rule: FollowUpRule, order: WorkOrder, *, now: datetime, **fields: Any
) -> FollowUp:
    """Add a call that can be made now, about an order whose holder has just completed it."""
    order.state, order.completed_at = State.COMPLETED, now
    given: dict[str, Any] = {
        "id": new_id(),
        "work_order_id": order.id,
        "rule_id": rule.id,
        "org_unit_id": order.org_unit_id,
        "customer_id": order.customer_id,
        "technician_id": order.holder_id,
        "channel": FollowUpChannel.CALL,
        "state": FollowUpState.WAITING,
        "completed_at": now,
        "ask_at": now,
        "expires_at": now + timedelta(days=7),
    }
    follow_up = FollowUp(**{**given, **fields})
    tx.add(follow_up)
    await tx.flush()
    return follow_up


async def token_on_telephone(tx: AsyncSession, follow_up: FollowUp) -> str:
    """Read the secret part of the last link that the customer was sent."""
    last = (await texts_about(tx, MessageKind.SURVEY, follow_up.id))[-1]
    (token,) = re.findall(r"example\.org/survey/([\w\-]+)", last)
    return str(token)
