"""People who have terminals: whose van it is, what changes hands, what was counted and lost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.db import fetched
from app.core.errors import NotFound
from app.terminals.models import StockCount
from app.terminals.rules import CountState, HandoverState, TerminalKind

_ALONE = "SELECT pg_advisory_xact_lock(hashtextextended('terminals ' || %(id)s::text, 0))"


async def alone(tx: AsyncSession, made_id: UUID) -> None:
    """Wait for another request that makes the thing of the same id this very moment."""
    await fetched(tx, _ALONE, {"id": made_id})


class Holder(NamedTuple):
    """A technician who can have terminals, and the org unit that answers for them."""

    technician_id: UUID
    name: str
    org_unit_id: UUID


_HOLDER = """
    SELECT t.id, t.name, t.org_unit_id FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
    WHERE (t.id = %(id)s OR t.code = %(code)s) AND (t.active OR NOT %(at_work)s)
        AND starts_with(u.path, %(org_path)s)
"""


async def holder(
    session: AsyncSession,
    org_path: str,
    *,
    technician_id: UUID | None = None,
    code: str | None = None,
    at_work: bool = True,
) -> Holder:
    """Find a technician of a subtree by id or by code, as a rule one who still works here.

    Raises NotFound.
    """
    given = {"id": technician_id, "code": code, "org_path": org_path, "at_work": at_work}
    rows = await fetched(session, _HOLDER, given)
    if not rows:
        raise NotFound()
    return Holder(*rows[0])


@dataclass(frozen=True)
class HandoverRow:
    """A terminal that is changing hands, with the names of both."""

    id: UUID
    serial_number: str
    kind: TerminalKind
    model: str
    state: HandoverState
    from_technician_id: UUID
    from_technician: str
    to_technician_id: UUID
    to_technician: str
    device_at: datetime
    offered_at: datetime
    answered_at: datetime | None


_HANDOVER = """
    SELECT h.id, t.serial_number, t.kind, t.model, h.state, h.from_technician_id,
        f.name AS from_technician, h.to_technician_id, r.name AS to_technician, h.device_at,
        h.offered_at, h.answered_at
    FROM terminal_handover h JOIN terminal t ON t.id = h.terminal_id
    JOIN technician f ON f.id = h.from_technician_id
    JOIN technician r ON r.id = h.to_technician_id
"""
_ONE_HANDOVER = text(_HANDOVER + "WHERE h.id = :id")
# What has left the giver's van since cannot be accepted any more.
_OPEN_HANDOVERS = text(
    _HANDOVER
    + """
    WHERE h.state = 'offered' AND t.technician_id = h.from_technician_id AND t.pool = 'van'
        AND (
            h.to_technician_id = :technician_id
            OR t.technician_id = :technician_id AND t.pool = 'van'
        )
    ORDER BY h.offered_at, h.id
    """
)


async def handovers(
    session: AsyncSession, *, technician_id: UUID | None = None, handover_id: UUID | None = None
) -> list[HandoverRow]:
    """Read one hand-over, or those that a technician gives or is given and nobody has answered."""
    if handover_id is not None:
        rows = await session.execute(_ONE_HANDOVER, {"id": handover_id})
    else:
        rows = await session.execute(_OPEN_HANDOVERS, {"technician_id": technician_id})
    return [
        HandoverRow(
            **{
                **row._mapping,
                "kind": TerminalKind(row.kind),
                "state": HandoverState(row.state),
            }
        )
        for row in rows
    ]


async def counts(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    technician_id: UUID | None = None,
    state: CountState | None = None,
) -> Sequence[StockCount]:
    """Read one page of the counts of the caller's part, the newest first, and one more."""
    statement = select(StockCount).where(subtree(StockCount.org_unit_id, caller))
    if after is not None:
        statement = statement.where(tuple_(StockCount.counted_at, StockCount.id) < tuple_(*after))
    if technician_id is not None:
        statement = statement.where(StockCount.technician_id == technician_id)
    if state is not None:
        statement = statement.where(StockCount.state == state)
    found = await session.scalars(
        statement.order_by(StockCount.counted_at.desc(), StockCount.id.desc()).limit(size + 1)
    )
    return found.all()


class LossRow(NamedTuple):
    """What one technician, or a unit beside its technicians, has lost in a time.

    `had` are the terminals that passed through the technician's hands; it is None where nobody
    held them.
    """

    org_unit_id: UUID
    org_unit_code: str
    technician_id: UUID | None
    technician_code: str | None
    technician_name: str | None
    lost: int
    found_again: int
    had: int | None


# Days are local to each org unit.
_LOSSES = text(
    """
    WITH unit AS (
        SELECT id, code, CAST(:since AS timestamp) AT TIME ZONE time_zone AS since,
            CAST(:until AS timestamp) AT TIME ZONE time_zone AS until
        FROM org_unit WHERE starts_with(path, :org_path)
    ), person AS (
        SELECT t.id, t.code, t.name, u.id AS org_unit_id, u.since, u.until
        FROM technician t JOIN unit u ON u.id = t.org_unit_id
    ), had AS (
        SELECT p.id AS technician_id, t.id AS terminal_id
        FROM person p JOIN terminal t ON t.technician_id = p.id
        WHERE t.pool IN ('van', 'recovered') AND (t.placed_at IS NULL OR t.placed_at < p.until)
        UNION
        SELECT p.id, m.terminal_id
        FROM person p JOIN terminal_move m ON m.from_technician_id = p.id AND m.at >= p.since
        WHERE m.at < p.until OR EXISTS (
            SELECT FROM terminal_move came
            WHERE came.terminal_id = m.terminal_id AND came.number = m.number - 1
                AND came.at < p.until
        )
    ), held AS (
        SELECT technician_id, count(*) AS had FROM had GROUP BY 1
    ), gone AS (
        SELECT m.from_org_unit_id AS org_unit_id, m.from_technician_id AS technician_id,
            count(*) AS lost,
            count(*) FILTER (WHERE EXISTS (
                SELECT FROM terminal_move back
                WHERE back.terminal_id = m.terminal_id AND back.number = m.number + 1
                    AND back.at < u.until
            )) AS found_again
        FROM terminal_move m JOIN unit u ON u.id = m.from_org_unit_id
        WHERE m.to_pool = 'lost' AND m.handling = 'lose' AND m.at >= u.since AND m.at < u.until
        GROUP BY 1, 2
    )
    SELECT u.id, u.code, p.id AS technician_id, p.code AS technician_code, p.name,
        coalesce(g.lost, 0) AS lost, coalesce(g.found_again, 0) AS found_again, h.had
    FROM person p JOIN unit u ON u.id = p.org_unit_id
    JOIN held h ON h.technician_id = p.id
    LEFT JOIN (
        SELECT technician_id, sum(lost)::bigint AS lost, sum(found_again)::bigint AS found_again
        FROM gone WHERE technician_id IS NOT NULL GROUP BY 1
    ) AS g ON g.technician_id = p.id
    UNION ALL
    SELECT u.id, u.code, NULL, NULL, NULL, g.lost, g.found_again, NULL
    FROM gone g JOIN unit u ON u.id = g.org_unit_id WHERE g.technician_id IS NULL
    ORDER BY 2, 4 NULLS LAST
    """
)


async def losses(
    session: AsyncSession, org_path: str, *, since: date, until: date
) -> list[LossRow]:
    """Count what was lost from one local day to another, both with it, per technician and unit.

    Technicians who had nothing in that time are left out.
    """
    given = {
        "org_path": org_path,
        "since": datetime.combine(since, datetime.min.time()),
        "until": datetime.combine(until + timedelta(days=1), datetime.min.time()),
    }
    return [LossRow(*row) for row in await session.execute(_LOSSES, given)]
