"""What is known of a completed order, what is to be sent, and a follow-up under its lock."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Result, Row, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.db import Database
from app.core.errors import NotFound
from app.core.lately import lately
from app.customers.models import Customer
from app.followups.models import FollowUp, FollowUpRule
from app.followups.rules import FollowUpState, Rule, token_hash
from app.technicians.models import Technician
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType

_HELD_AS = "followups.rules"


async def rules_in_force(session: AsyncSession) -> list[Rule]:
    """Return the dated rules, read at most a few seconds ago by this process."""
    return await lately(session, _HELD_AS, _rules)


def forget_rules(database: Database) -> None:
    """Let this process read again which rules there are, since it has changed them."""
    database.cache.pop(_HELD_AS, None)


async def _rules(session: AsyncSession) -> list[Rule]:
    rows = await session.execute(select(*(getattr(FollowUpRule, name) for name in Rule._fields)))
    return [Rule(*row) for row in rows]


class Completed(NamedTuple):
    """A completed order, as far as asking about it goes."""

    org_unit_id: UUID
    work_type: WorkType
    completed_at: datetime
    technician_id: UUID
    customer_id: UUID | None
    phone: str | None
    do_not_disturb: bool


async def completed(tx: AsyncSession, order_id: UUID) -> Completed | None:
    """Read an order that is completed and held by whoever did it; None for any other."""
    found: Result[Any] = await tx.execute(
        select(
            WorkOrder.org_unit_id,
            WorkOrder.work_type,
            WorkOrder.completed_at,
            WorkOrder.holder_id,
            WorkOrder.customer_id,
            func.coalesce(WorkOrder.contact_phone, Customer.phone),
            func.coalesce(Customer.do_not_disturb, False),
        )
        .outerjoin(Customer, Customer.id == WorkOrder.customer_id)
        .where(
            WorkOrder.id == order_id,
            WorkOrder.state.in_([State.COMPLETED, State.ARCHIVED]),
            WorkOrder.holder_id.is_not(None),
            WorkOrder.completed_at.is_not(None),
        )
    )
    row = found.one_or_none()
    return None if row is None else Completed._make(row)


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended('follow_up:' || :id, 0))")


async def asked_lately(tx: AsyncSession, customer_id: UUID, since: datetime) -> bool:
    """Tell whether a customer was asked about an order completed since a moment, or will be.

    Whoever looks holds the customer's turn until the transaction ends, so that two orders that are
    completed at once do not both find that nobody was asked.
    """
    await tx.execute(_ONE_AT_A_TIME, {"id": str(customer_id)})
    asked = exists().where(
        FollowUp.customer_id == customer_id,
        FollowUp.completed_at > since,
        FollowUp.state != FollowUpState.SPARED,
    )
    return bool(await tx.scalar(select(asked)))


class ToSend(NamedTuple):
    """A survey whose time has come, with where its link goes."""

    follow_up: FollowUp
    phone: str | None
    spared: bool


# The words of the partial index.
_WAITING_SURVEY = text("follow_up.state = 'waiting' AND follow_up.channel = 'survey'")


async def to_send(tx: AsyncSession, now: datetime, *, limit: int) -> list[ToSend]:
    """Lock surveys that are to be sent by now, those of others at work left out.

    `spared` says that the customer has meanwhile asked not to be disturbed.
    """
    rows = await tx.execute(
        select(
            FollowUp,
            func.coalesce(WorkOrder.contact_phone, Customer.phone),
            FollowUpRule.spares_do_not_disturb & func.coalesce(Customer.do_not_disturb, False),
        )
        .join(WorkOrder, WorkOrder.id == FollowUp.work_order_id)
        .join(FollowUpRule, FollowUpRule.id == FollowUp.rule_id)
        .outerjoin(Customer, Customer.id == FollowUp.customer_id)
        .where(_WAITING_SURVEY, FollowUp.ask_at <= now, FollowUp.expires_at > now)
        .order_by(FollowUp.ask_at)
        .limit(limit)
        .with_for_update(of=FollowUp, skip_locked=True)
    )
    return [ToSend(*row) for row in rows]


async def by_token(tx: AsyncSession, token: str) -> FollowUp | None:
    """Lock the follow-up that a survey's token opens."""
    found = await tx.scalars(
        select(FollowUp)
        .where(FollowUp.token_hash == token_hash(token))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.one_or_none()


async def survey(read: AsyncSession, token: str, now: datetime) -> Row[Any] | None:
    """Read what a survey shows, if its token opens one that is not over."""
    found: Result[Any] = await read.execute(
        select(
            WorkOrder.work_type,
            FollowUp.completed_at,
            Technician.name.label("technician"),
            FollowUp.expires_at,
            FollowUp.mark,
            FollowUp.reasons,
            FollowUp.answered_at,
        )
        .join(WorkOrder, WorkOrder.id == FollowUp.work_order_id)
        .join(Technician, Technician.id == FollowUp.technician_id)
        .where(FollowUp.token_hash == token_hash(token), FollowUp.expires_at > now)
    )
    return found.one_or_none()


async def for_change(
    tx: AsyncSession, follow_up_id: UUID, caller: Caller | None = None
) -> FollowUp:
    """Lock a follow-up until the transaction ends.

    Raises NotFound when it does not exist or lies outside the caller's subtree.
    """
    statement = select(FollowUp).where(FollowUp.id == follow_up_id).with_for_update()
    if caller is not None:
        statement = statement.where(subtree(FollowUp.org_unit_id, caller))
    found = await tx.scalars(statement.execution_options(populate_existing=True))
    follow_up = found.one_or_none()
    if follow_up is None:
        raise NotFound()
    return follow_up


async def place_of(
    tx: AsyncSession, order_id: UUID
) -> tuple[float | None, float | None, str | None]:
    """Read where an order is, as WGS-84 longitude and latitude, and its customer's code."""
    found = await tx.execute(
        select(func.ST_X(WorkOrder.point), func.ST_Y(WorkOrder.point), Customer.code)
        .outerjoin(Customer, Customer.id == WorkOrder.customer_id)
        .where(WorkOrder.id == order_id)
    )
    lon, lat, code = found.one()
    return lon, lat, code
