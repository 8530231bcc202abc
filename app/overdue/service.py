"""Who is told of a promise about to be broken, and what is paid for one that is."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.alerts import service as alerts
from app.alerts.rules import AlertKind
from app.auth import audit
from app.auth.rules import Caller
from app.core.db import new_id
from app.overdue import queries, rules
from app.overdue.models import Compensation, Escalation
from app.overdue.rules import ALERT_MISSED, CompensationState, Decision
from app.promises import queries as promises
from app.promises.rules import Level, steps_for
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units
from app.workorders.rules import CLOSED
from app.workorders.service import clocks
from app.worktypes.rules import WorkType

# --- escalations ----------------------------------------------------------------------------------

# Each open order that is due soon enough meets the steps of its unit and work type; what has been
# told once for this due moment is not told again, whoever else is at it.
_ESCALATE = text(
    """
    WITH soon AS MATERIALIZED (
        SELECT id, org_unit_id, work_type, due_at, holder_id FROM work_order
        WHERE org_unit_id = ANY(CAST(:units AS uuid[])) AND due_at <= :horizon
            AND state NOT IN ('completed', 'archived', 'cancelled')
    ), step AS (
        SELECT * FROM unnest(
            CAST(:step_units AS uuid[]), CAST(:work_types AS text[]), CAST(:levels AS text[]),
            CAST(:minutes AS float[]), CAST(:codes AS text[])
        ) AS given (org_unit_id, work_type, level, minutes, code)
    )
    INSERT INTO escalation (id, work_order_id, org_unit_id, level, due_at, rule_code, at, holder_id)
    SELECT gen_random_uuid(), o.id, o.org_unit_id, step.level, o.due_at, step.code, :now,
        o.holder_id
    FROM soon o JOIN step USING (org_unit_id, work_type)
    WHERE o.due_at + make_interval(secs => step.minutes * 60) <= :now
        AND (step.level <> :technician OR o.holder_id IS NOT NULL)
        AND NOT EXISTS (
            SELECT FROM escalation e
            WHERE e.work_order_id = o.id AND e.level = step.level AND e.due_at = o.due_at
        )
    ON CONFLICT (work_order_id, level, due_at) DO NOTHING
    RETURNING id
    """
)


_LAPSE = text(
    """
    UPDATE escalation e SET lapsed_at = :now
    FROM work_order o
    WHERE e.acknowledged_at IS NULL AND e.lapsed_at IS NULL AND o.id = e.work_order_id
        AND (o.state IN ('completed', 'archived', 'cancelled') OR o.due_at <> e.due_at)
    """
)


async def escalate(tx: AsyncSession, *, now: datetime) -> int:
    """Tell the levels of all orders whose steps have come; return how many were told.

    A technician is told only of an order that somebody holds. What was told of orders that are
    closed by now, or due at another moment, lapses.
    """
    await tx.execute(_LAPSE, {"now": now})
    dated = await promises.escalation_steps(tx)
    if not dated:
        return 0
    units = (await org_units(tx)).by_id.values()
    steps = [
        (unit.id, work_type.value, step)
        for unit in units
        for work_type in WorkType
        for step in steps_for(dated, work_type, unit.path, now.astimezone(unit.zone).date())
    ]
    if not steps:
        return 0
    soonest = min(step.minutes_after_due for _, _, step in steps)
    told = await tx.execute(
        _ESCALATE,
        {
            "units": list({unit_id for unit_id, _, _ in steps}),
            "horizon": now - timedelta(minutes=soonest),
            "step_units": [unit_id for unit_id, _, _ in steps],
            "work_types": [work_type for _, work_type, _ in steps],
            "levels": [step.level.value for _, _, step in steps],
            "minutes": [float(step.minutes_after_due) for _, _, step in steps],
            "codes": [step.code for _, _, step in steps],
            "technician": Level.TECHNICIAN.value,
            "now": now,
        },
    )
    ids = list(told.scalars())
    if ids:
        audit.note(tx, table="escalation", operation="insert", ids=ids)
    return len(ids)


async def alert(tx: AsyncSession, *, now: datetime) -> int:
    """Alert the units in which too many orders are late that supervisors were told of and nobody
    has taken up; returns how many were told."""
    kind, counts = AlertKind.PROMISES_MISSED, await queries.missed(tx, now)
    found = await alerts.too_many(tx, kind, counts, ALERT_MISSED, now=now)
    return await alerts.stand(tx, (kind,), found, now=now)


async def acknowledge(
    tx: AsyncSession, escalation_id: UUID, caller: Caller, *, note: str, now: datetime
) -> Escalation:
    """Take an escalation up with a word on what is done; whoever was first stays.

    Raises NotFound.
    """
    one = await queries.escalation_for_change(tx, escalation_id, caller)
    if one.acknowledged_at is None:
        one.acknowledged_at, one.acknowledged_by_id, one.note = now, caller.account_id, note
        await tx.flush()
    return one


# --- compensations --------------------------------------------------------------------------------

# What an order comes to, as it is now. It is late by its first due moment, or it would be no
# matter; whether it is late with its stops, or one of them exempts it, decides what is paid. Days
# are those of 24 hours that have begun. What somebody has decided is left as it is.
_PROPOSE = """
    INSERT INTO compensation AS known (
        id, work_order_id, org_unit_id, promise_rule_id, state, first_due_at, due_at, late_until,
        late_days, per, fen, cap_fen, causes, changed_at
    )
    SELECT gen_random_uuid(), id, org_unit_id, promise_rule_id,
        CASE WHEN exempt THEN 'exempt' ELSE 'proposed' END,
        first_due_at, due_at, late_until, late_days, per,
        CASE WHEN exempt THEN 0 WHEN per = 'day' THEN least(late_days * fen, cap_fen)
            ELSE least(fen, cap_fen) END,
        cap_fen, CASE WHEN exempt THEN coalesce(causes, '{{}}') ELSE '{{}}' END, :now
    FROM (
        SELECT o.id, o.org_unit_id, o.promise_rule_id, o.due_at, late_until,
            coalesce(stops.first_due_at, o.due_at) AS first_due_at,
            greatest(0, ceil(extract(epoch FROM late_until - o.due_at) / 86400))::int AS late_days,
            late_until <= o.due_at OR stops.exempting IS NOT NULL AS exempt,
            CASE WHEN late_until <= o.due_at THEN stops.causes ELSE stops.exempting END AS causes,
            r.compensation_per AS per, r.compensation_fen AS fen,
            r.compensation_cap_fen AS cap_fen
        FROM work_order o
        JOIN promise_rule r ON r.id = o.promise_rule_id AND r.compensation_fen > 0
        CROSS JOIN LATERAL (SELECT coalesce(o.completed_at, :now) AS late_until) AS ended
        CROSS JOIN LATERAL (
            SELECT min(s.first_due_at) AS first_due_at,
                array_agg(DISTINCT s.cause ORDER BY s.cause)
                    FILTER (WHERE s.withdrawn_at IS NULL) AS causes,
                array_agg(DISTINCT s.cause ORDER BY s.cause)
                    FILTER (WHERE s.withdrawn_at IS NULL AND s.exempts) AS exempting
            FROM clock_stop s WHERE s.work_order_id = o.id
        ) AS stops
        WHERE {which} AND o.state <> 'cancelled'
            AND late_until > coalesce(stops.first_due_at, o.due_at)
    ) AS judged
    ON CONFLICT (work_order_id) WHERE reverses_id IS NULL DO UPDATE SET
        (org_unit_id, state, due_at, late_until, late_days, fen, causes, changed_at) = (
            excluded.org_unit_id, excluded.state, excluded.due_at, excluded.late_until,
            excluded.late_days, excluded.fen, excluded.causes, excluded.changed_at
        )
    WHERE known.state IN ('proposed', 'exempt')
        AND (known.state, known.due_at, known.late_days, known.fen, known.causes) IS DISTINCT FROM
            (excluded.state, excluded.due_at, excluded.late_days, excluded.fen, excluded.causes)
    RETURNING known.id
"""
_PROPOSE_THESE = text(_PROPOSE.format(which="o.id = ANY(CAST(:ids AS uuid[]))"))
# What is paid by the day grows while the order is open.
_PROPOSE_OPEN = text(
    _PROPOSE.format(
        which="""o.org_unit_id = ANY(CAST(:units AS uuid[])) AND o.due_at < :now
            AND o.state NOT IN ('completed', 'archived', 'cancelled')
            AND r.compensation_per = 'day'"""
    )
)
# An order that is cancelled owes nothing.
_GIVE_UP = text(
    """
    UPDATE compensation c SET state = 'refused', fen = 0, reason = o.state, changed_at = :now,
        decided_at = :now
    FROM work_order o
    WHERE o.id = c.work_order_id AND c.state = 'proposed' AND o.state = 'cancelled'
    RETURNING c.id
    """
)


async def propose(tx: AsyncSession, order_ids: Collection[UUID], *, now: datetime) -> None:
    """Work out anew what orders that were late come to; what was decided stays."""
    made = await tx.execute(_PROPOSE_THESE, {"ids": list(order_ids), "now": now})
    _noted(tx, list(made.scalars()))


async def add_up(tx: AsyncSession, *, now: datetime) -> None:
    """Let what is paid by the day grow for open orders, and give up what was cancelled."""
    units = list((await org_units(tx)).by_id)
    grown = await tx.execute(_PROPOSE_OPEN, {"units": units, "now": now})
    given_up = await tx.execute(_GIVE_UP, {"now": now})
    _noted(tx, [*grown.scalars(), *given_up.scalars()])


def _noted(tx: AsyncSession, ids: list[UUID]) -> None:
    if ids:
        audit.note(tx, table="compensation", operation="worked_out", ids=ids)


async def judge(tx: AsyncSession, order_id: UUID, *, now: datetime) -> None:
    """Judge an order that is completed: its clock stands no more, and what is owed is proposed."""
    order = await tx.get(WorkOrder, order_id, with_for_update=True, populate_existing=True)
    if order is None or order.completed_at is None:
        return
    while await clocks.start(tx, order, at=order.completed_at, now=now):
        pass  # One may stand open now, and another before an appointment that will not be.
    await propose(tx, [order_id], now=now)


_STATE = select(WorkOrder.state).where(WorkOrder.id == bindparam("order_id"))


async def decide(
    tx: AsyncSession,
    compensation_id: UUID,
    caller: Caller,
    decision: Decision,
    *,
    reason: str,
    now: datetime,
) -> Compensation:
    """Confirm, refuse or reverse a compensation; the same once more is answered like before.

    A reversal is a row of its own, and is what is returned. Raises NotFound, CompensationDecided,
    and StillLate while its order is open.
    """
    one = await queries.compensation_for_change(tx, compensation_id, caller)
    before = await _decided_before(tx, one, decision)
    if before is not None:
        return before
    state = await tx.scalar(_STATE, {"order_id": one.work_order_id})
    then = rules.decided(one.state, decision, order_over=state in CLOSED)
    if decision is Decision.REVERSE:
        fields = (
            "work_order_id org_unit_id promise_rule_id first_due_at due_at late_until late_days per"
            " cap_fen causes"
        )
        same = {name: getattr(one, name) for name in fields.split()}
        one = Compensation(id=new_id(), **same, state=then, fen=-one.fen, reverses_id=one.id)
        tx.add(one)
    else:
        one.state = then
    one.reason, one.changed_at = reason, now
    one.decided_at, one.decided_by_id = now, caller.account_id
    await tx.flush()
    return one


async def _decided_before(
    tx: AsyncSession, one: Compensation, decision: Decision
) -> Compensation | None:
    if decision is Decision.REVERSE:
        return await tx.scalar(select(Compensation).where(Compensation.reverses_id == one.id))
    wanted = rules.DECISIONS[CompensationState.PROPOSED, decision]
    return one if one.state is wanted else None
