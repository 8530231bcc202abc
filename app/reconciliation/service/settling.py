"""Putting down what was found: what is safe is put right, the rest becomes cases and a sum."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import Rows, fetched, new_id, put
from app.core.log import log
from app.ordering import service as ordering
from app.ordering.order import RemoteOrder
from app.reconciliation.models import ReconciliationRun
from app.reconciliation.rules import (
    Bin,
    DifferenceKind,
    DifferenceState,
    Finding,
    Heal,
    RunState,
    Theirs,
)
from app.reconciliation.service.reading import Scope
from app.sales.rules import SaleStep
from app.sales.service import entered


async def put_down(
    tx: AsyncSession, run_id: UUID, day: date, findings: Sequence[Finding], now: datetime
) -> list[Finding]:
    """Put right what is safe, and keep what differs; returns where each finding now lies.

    What could not be put right after all waits for a person, also where it failed: then nothing
    of it is done, and the others are put down all the same.
    """
    settled = [await _tried(tx, run_id, finding, now) for finding in findings]
    again = [f for f in settled if f.bin is Bin.HEALED and f.heal is None]
    if again:
        given = {"day": day, "run": run_id, "subjects": [f.subject for f in again], "now": now}
        await fetched(tx, _STILL_HEALED, given)
    states = await _kept(tx, run_id, day, [f for f in settled if f.kind or f.heal], now)
    explained = {s for s, state in states.items() if state is DifferenceState.EXPLAINED}
    return [replace(f, bin=Bin.EXPLAINED) if f.subject in explained else f for f in settled]


_STILL_HEALED = """
UPDATE reconciliation_case SET run_id = %(run)s, last_seen_at = %(now)s
 WHERE day = %(day)s AND subject = ANY(%(subjects)s) AND state = 'healed' RETURNING id
"""


async def _tried(tx: AsyncSession, run_id: UUID, finding: Finding, now: datetime) -> Finding:
    if finding.heal is None or finding.sale is None:
        return finding
    done = False
    try:
        async with tx.begin_nested():
            done = await _put_right(tx, run_id, finding.heal, finding.sale.sale_id, finding, now)
    except Exception:  # noqa: BLE001 - logged; one must not hold up the night of all others
        log.exception("a difference was not put right", subject=finding.subject)
    if done:
        return finding
    if finding.kind is not None:
        return replace(finding, heal=None)
    kind = DifferenceKind.NOT_THERE if finding.heal is Heal.WAKE else DifferenceKind.STATE_DIFFERS
    return replace(finding, bin=Bin.OPEN, kind=kind, heal=None)


async def _put_right(
    tx: AsyncSession, run_id: UUID, heal: Heal, sale_id: UUID, finding: Finding, now: datetime
) -> bool:
    order = next((each for each in finding.orders if each.id == finding.order_id), None)
    match heal:
        case Heal.WAKE:
            done = await ordering.wake(tx, sale_id)
        case Heal.LINK:
            assert order is not None
            done = await ordering.link(tx, sale_id, _seen(order), now)
        case Heal.TAKE_IN:
            assert order is not None
            done = await ordering.take_in(tx, sale_id, _seen(order), now)
    if done:
        facts = {"run_id": run_id, "heal": heal.value}
        await entered(tx, sale_id, SaleStep.RECONCILED, at=now, facts=facts)
    return done


def _seen(order: Theirs) -> RemoteOrder:
    return RemoteOrder(
        id=order.id,
        href=order.href,
        external_id=order.external_id,
        state=order.state,
        state_text=order.state.value if order.state else None,
        ordered_at=None,
        reason=order.reason,
        item_states=order.item_states,
    )


async def _kept(
    tx: AsyncSession, run_id: UUID, day: date, findings: Sequence[Finding], now: datetime
) -> dict[str, DifferenceState]:
    """Keep differences: one that was there before is the same case; returns how each stands."""
    if not findings:
        return {}
    given = {
        "day": day,
        "run": run_id,
        "now": now,
        "ids": [new_id() for _ in findings],
        "units": [_unit(f) for f in findings],
        "subjects": [f.subject for f in findings],
        "kinds": [f.kind.value if f.kind else None for f in findings],
        "heals": [f.heal.value if f.heal else None for f in findings],
        "states": [_STATES[f.bin].value for f in findings],
        "sales": [f.sale.sale_id if f.sale else None for f in findings],
        "orders": [f.order_id or (f.orders[0].id if f.orders else None) for f in findings],
        "facts": [orjson.dumps(f.facts).decode() for f in findings],
    }
    rows = await fetched(tx, _KEEP, given)
    audit.note(tx, table="reconciliation_case", operation="found", ids=[id_ for id_, *_ in rows])
    return {subject: DifferenceState(state) for _, subject, state in rows}


_STATES = {Bin.HEALED: DifferenceState.HEALED, Bin.OPEN: DifferenceState.OPEN}


def _unit(finding: Finding) -> UUID:
    unit = finding.sale.org_unit_id if finding.sale else finding.orders[0].org_unit_id
    assert unit is not None
    return unit


# What a person has explained stays explained while it is the very same, or stands on something
# again; what was done about a difference that is still there did not help.
_SAME = """
    c.kind = excluded.kind
    AND (c.facts = excluded.facts OR c.facts #- '{ours,stood_on}' = excluded.facts)
"""
_KEEP = f"""
INSERT INTO reconciliation_case AS c
       (id, day, org_unit_id, subject, kind, heal, state, sale_id, order_id, facts, run_id,
        first_seen_at, last_seen_at)
SELECT f.id, %(day)s, f.unit, f.subject, f.kind, f.heal, f.state, f.sale_id, f.order_id,
       f.facts::jsonb, %(run)s, %(now)s, %(now)s
  FROM unnest(%(ids)s::uuid[], %(units)s::uuid[], %(subjects)s::text[], %(kinds)s::text[],
              %(heals)s::text[], %(states)s::text[], %(sales)s::uuid[], %(orders)s::text[],
              %(facts)s::text[])
    AS f (id, unit, subject, kind, heal, state, sale_id, order_id, facts)
ON CONFLICT (day, subject) DO UPDATE
   SET org_unit_id = excluded.org_unit_id, kind = excluded.kind, heal = excluded.heal,
       order_id = excluded.order_id, facts = excluded.facts, run_id = excluded.run_id,
       last_seen_at = excluded.last_seen_at, times_seen = c.times_seen + 1,
       state = CASE WHEN c.state = 'resolving' OR excluded.state = 'open' AND c.state = 'explained'
                         AND {_SAME}
                    THEN c.state ELSE excluded.state END,
       closed_at = CASE WHEN c.state = 'explained' AND {_SAME} AND excluded.state = 'open'
                        THEN c.closed_at ELSE NULL END
RETURNING id, subject, state
"""  # noqa: S608 - text of our own


async def finish(
    tx: AsyncSession,
    run_id: UUID,
    day: date,
    scope: Scope,
    settled: Sequence[Finding],
    now: datetime,
) -> None:
    """Close the cases that are gone, write the day's sum for each unit, and end the comparison."""
    given = {"day": day, "run": run_id, "path": scope.path, "now": now}
    gone = await fetched(tx, _GONE, given)
    if gone:
        audit.note(tx, table="reconciliation_case", operation="gone", ids=[id_ for (id_,) in gone])
    counts: dict[UUID, Counter[str]] = {}
    for finding in settled:
        if finding.bin is Bin.ELSEWHERE:
            continue
        count = counts.setdefault(_unit(finding), Counter())
        if finding.sale is None:
            count["orders"] += 1
            count["unheard"] += finding.why is not None
        else:
            count["sales"] += 1
            count["equal"] += finding.bin is Bin.EQUAL
            count["under_way"] += finding.why is not None
    await fetched(tx, _CLEAR, given)
    names = ("sales", "equal", "under_way", "orders", "unheard")
    rows = [
        (day, unit, run_id, now, *(count[name] for name in names)) for unit, count in counts.items()
    ]
    await put(
        tx,
        Rows("reconciliation_day", f"day org_unit_id run_id at {' '.join(names)}", rows),
    )
    run = await tx.get_one(ReconciliationRun, run_id)
    run.state, run.finished_at, run.alive_until = RunState.DONE, now, None
    run.sales = sum(count["sales"] for count in counts.values())


_GONE = """
UPDATE reconciliation_case c SET state = 'gone', closed_at = %(now)s
  FROM org_unit u
 WHERE c.day = %(day)s AND c.run_id <> %(run)s AND u.id = c.org_unit_id
   AND starts_with(u.path, %(path)s) AND c.state IN ('open', 'resolved', 'explained')
RETURNING c.id
"""
_CLEAR = """
DELETE FROM reconciliation_day d USING org_unit u
 WHERE d.day = %(day)s AND u.id = d.org_unit_id AND starts_with(u.path, %(path)s)
RETURNING d.org_unit_id
"""
