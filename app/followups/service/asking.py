"""Making follow-ups of completed orders, sending surveys, and ending what nobody answers."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import new_id
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.followups import queries, rules
from app.followups.models import FollowUp
from app.followups.rules import FollowUpChannel, FollowUpState
from app.messaging import service as messaging
from app.messaging.rules import MessageKind
from app.visits.rules import takes_messages
from app.workorders.queries import org_units

# Surveys a transaction sends at most; the next one goes on.
BATCH = 200

# Where the secret part of a link stands in the setting `survey_url`.
TOKEN_MARK = "{token}"


async def make(tx: AsyncSession, order_id: UUID) -> UUID | None:
    """Make the follow-up of a completed order, if the rules of its org unit want one.

    Who has a landline only is called, since no link can be sent there. Called again, it makes
    nothing more. Returns the follow-up's id if it made one.
    """
    order = await queries.completed(tx, order_id)
    if order is None or not order.phone:
        return None
    unit = (await org_units(tx, ids=[order.org_unit_id])).by_id[order.org_unit_id]
    completed_on = order.completed_at.astimezone(unit.zone).date()
    rule = rules.rule_for(
        await queries.rules_in_force(tx), order.work_type, unit.path, completed_on
    )
    if rule is None or not rules.drawn(order_id, rule.share_percent):
        return None
    if rule.spares_do_not_disturb and order.do_not_disturb:
        return None
    if order.customer_id is not None:
        since = order.completed_at - timedelta(days=rule.quiet_days)
        if await queries.asked_lately(tx, order.customer_id, since):
            return None
    numbers = await parameters_in_force(tx)
    ask_at = rules.ask_at(
        order.completed_at,
        rule.delay_hours,
        unit.zone,
        from_hour=numbers.whole(rules.FROM_HOUR, order.completed_at, unit.path),
        until_hour=numbers.whole(rules.UNTIL_HOUR, order.completed_at, unit.path),
    )
    channel = rule.channel if takes_messages(order.phone) else FollowUpChannel.CALL
    made = await tx.scalar(
        insert(FollowUp)
        .values(
            id=new_id(),
            work_order_id=order_id,
            rule_id=rule.id,
            org_unit_id=order.org_unit_id,
            customer_id=order.customer_id,
            technician_id=order.technician_id,
            channel=channel,
            state=FollowUpState.WAITING,
            completed_at=order.completed_at,
            ask_at=ask_at,
            expires_at=ask_at + timedelta(days=rule.valid_days),
        )
        .on_conflict_do_nothing(index_elements=[FollowUp.work_order_id])
        .returning(FollowUp.id)
    )
    if made is not None:
        audit.note(tx, table="follow_up", operation="insert", ids=[made])
    return made


async def send_due(tx: AsyncSession, survey_url: str, *, now: datetime) -> int:
    """Send the links of surveys whose time has come, up to a batch of them; tell how many it took.

    Where no address of the survey's page is set, they wait. A customer who does not want to be
    disturbed by now is spared. The link's secret part is in the message alone.
    """
    due = await queries.to_send(tx, now, limit=BATCH) if survey_url else []
    for follow_up, phone, spared in due:
        if spared or phone is None:
            follow_up.state = FollowUpState.SPARED
            continue
        token = rules.new_token()
        follow_up.state, follow_up.asked_at = FollowUpState.ASKED, now
        follow_up.token_hash = rules.token_hash(token)
        await messaging.send(
            tx,
            kind=MessageKind.SURVEY,
            to=phone,
            org_unit_id=follow_up.org_unit_id,
            about=follow_up.id,
            facts={"link": survey_url.replace(TOKEN_MARK, token)},
            now=now,
        )
    await tx.flush()
    return len(due)


# A link that is over opens nothing, so its hash is dropped with it.
_END = text(
    """
    UPDATE follow_up SET state = 'expired', token_hash = NULL
    WHERE state IN ('waiting', 'asked') AND expires_at <= :now
    """
)


async def end_expired(tx: AsyncSession, *, now: datetime) -> int:
    """End all that nobody has answered in time, in one statement; tell how many they were."""
    ended: int = (await tx.execute(_END, {"now": now})).rowcount  # type: ignore[attr-defined]
    if ended:
        audit.note(tx, table="follow_up", operation="update", count=ended, columns=["state"])
        log.info("follow-ups over without an answer", count=ended)
    return ended
