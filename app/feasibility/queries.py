"""Reads, locks and set-based changes of feasibility."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Text, Uuid, bindparam, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import fetched
from app.core.errors import NotFound
from app.customers.queries import served_at
from app.dispatch.models import AppointmentHold
from app.feasibility.models import InstallReservation
from app.feasibility.rules import ReservationState, TwoHours
from app.workorders.models import WorkOrder


async def lock_order(tx: AsyncSession, order_id: UUID, technician_id: UUID) -> None:
    """Lock the order of a visit against whoever takes a step with it. Raises NotFound when it is
    not the technician's any more.

    Not against those who only refer to it, as a sale that is made in the same transaction does: two
    of these would wait for each other.
    """
    found = await tx.scalar(
        select(WorkOrder.id)
        .where(WorkOrder.id == order_id, WorkOrder.holder_id == technician_id)
        .with_for_update(key_share=True)
    )
    if found is None:
        raise NotFound()


async def anything_to_install(tx: AsyncSession, offering_ids: Collection[UUID]) -> bool:
    """Tell whether any of some versions of offerings has to be installed."""
    rows = await fetched(tx, _TO_INSTALL, {"ids": list(offering_ids)})
    return bool(rows)


_TO_INSTALL = """
    SELECT 1 FROM product_offering WHERE id = ANY(%(ids)s) AND install_minutes IS NOT NULL LIMIT 1
"""

_ADDRESS = served_at(
    bindparam("customer_id", type_=Uuid()),
    service_number=bindparam("service_number", type_=Text()),
    address=bindparam("address", type_=Text()),
)


async def address_of(
    session: AsyncSession, customer_id: UUID, *, service_number: str | None, address: str
) -> UUID | None:
    """Find the service address at which an order of a customer is done."""
    given = {"customer_id": customer_id, "service_number": service_number, "address": address}
    row = (await session.execute(_ADDRESS, given)).first()
    return None if row is None else row.id


class FreeTerminal(NamedTuple):
    """A terminal in somebody's van that is kept for nobody."""

    id: UUID
    serial_number: str
    kind: str


_FREE = """
    SELECT t.id, t.serial_number, t.kind FROM terminal t
    WHERE t.technician_id = %(technician_id)s AND t.pool = 'van' AND t.kind = ANY(%(kinds)s)
        AND NOT EXISTS (
            SELECT FROM reserved_terminal r JOIN install_reservation i ON i.id = r.reservation_id
            WHERE r.terminal_id = t.id AND r.ended_at IS NULL
                AND (i.state <> 'held' OR i.expires_at > %(now)s)
                AND i.hold_id IS DISTINCT FROM %(without)s
        )
    ORDER BY t.placed_at NULLS FIRST, t.serial_number
"""


async def free_terminals(
    session: AsyncSession,
    technician_id: UUID,
    kinds: Collection[str],
    *,
    now: datetime,
    without: UUID | None = None,
) -> list[FreeTerminal]:
    """List what of some kinds is in a van and kept for nobody, the oldest first; what is kept for
    one hold may count as free."""
    given = {
        "technician_id": technician_id,
        "kinds": list(kinds),
        "now": now,
        "without": without,
    }
    return [FreeTerminal(*row) for row in await fetched(session, _FREE, given)]


async def serials_of(session: AsyncSession, reservation_id: UUID) -> list[str]:
    """List the serial numbers that a reservation keeps or has kept."""
    rows = await fetched(
        session,
        "SELECT t.serial_number FROM reserved_terminal r JOIN terminal t ON t.id = r.terminal_id"
        " WHERE r.reservation_id = %(id)s ORDER BY 1",
        {"id": reservation_id},
    )
    return [serial for (serial,) in rows]


async def reservation(session: AsyncSession, reservation_id: UUID) -> InstallReservation | None:
    """Read a reservation as it is now."""
    return await session.get(InstallReservation, reservation_id, populate_existing=True)


async def own(
    session: AsyncSession, reservation_id: UUID, technician_id: UUID
) -> InstallReservation:
    """Read a technician's own reservation. Raises NotFound."""
    found = await reservation(session, reservation_id)
    if found is None or found.technician_id != technician_id:
        raise NotFound()
    return found


async def open_one(tx: AsyncSession, reservation_id: UUID) -> InstallReservation | None:
    """Lock a reservation that is held, also when its time is over."""
    return next(iter(await _opened(tx, InstallReservation.id == reservation_id)), None)


async def open_of_visit(
    tx: AsyncSession, visit_id: UUID, *, sale_id: UUID | None = None
) -> list[InstallReservation]:
    """Lock what a visit has reserved, also what is over, and no sale names or this one alone; the
    newest first."""
    found = await _opened(tx, InstallReservation.visit_id == visit_id)
    # Asked once they are locked: whoever names one of them has locked it before.
    taken = await named_by_others(tx, visit_id, sale_id) if found else {}
    return [one for one in reversed(found) if one.id not in taken]


async def _opened(tx: AsyncSession, which: ColumnElement[bool]) -> Sequence[InstallReservation]:
    return (
        await tx.scalars(
            select(InstallReservation)
            .where(which, InstallReservation.state == ReservationState.HELD)
            .order_by(InstallReservation.held_at, InstallReservation.id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).all()


# A reservation belongs to the sale that names it, until that is confirmed, when it is used or
# wanted no more, or cancelled.
_NAMES = "sale.reservation_id IS NOT NULL AND sale.state IN ('draft', 'second_confirmation')"
_NAMED_BY_OTHERS = f"""
    SELECT reservation_id, id, state FROM sale
    WHERE visit_id = %(visit_id)s AND {_NAMES} AND id IS DISTINCT FROM %(sale_id)s
"""  # noqa: S608
_NAMED_BY_NONE = text(
    f"""
    NOT EXISTS (
        SELECT FROM sale WHERE sale.reservation_id = install_reservation.id
            AND sale.visit_id = install_reservation.visit_id AND {_NAMES}
    )
    """
)


class Naming(NamedTuple):
    """A sale that names a reservation, and where it stands."""

    sale_id: UUID
    state: str


async def named_by_others(
    tx: AsyncSession, visit_id: UUID, sale_id: UUID | None
) -> dict[UUID, Naming]:
    """Say which reservations of a visit are another sale's, and whose."""
    given = {"visit_id": visit_id, "sale_id": sale_id}
    return {row[0]: Naming(*row[1:]) for row in await fetched(tx, _NAMED_BY_OTHERS, given)}


async def held_in(session: AsyncSession, visit_id: UUID, now: datetime) -> AppointmentHold | None:
    """Read the hold of what is reserved in a visit just now and no sale names, without locking it;
    of several the newest."""
    return (
        await session.scalars(
            select(AppointmentHold)
            .join(InstallReservation, InstallReservation.hold_id == AppointmentHold.id)
            .where(
                InstallReservation.visit_id == visit_id,
                InstallReservation.state == ReservationState.HELD,
                InstallReservation.expires_at > now,
                _NAMED_BY_NONE,
            )
            .order_by(InstallReservation.held_at.desc(), InstallReservation.id.desc())
            .limit(1)
            .execution_options(populate_existing=True)
        )
    ).one_or_none()


async def holds_of_visit(session: AsyncSession, visit_id: UUID) -> list[UUID]:
    """List the holds of all that is reserved in a visit, also of what is over."""
    rows = await fetched(
        session,
        "SELECT hold_id FROM install_reservation WHERE visit_id = %(id)s AND state = 'held'",
        {"id": visit_id},
    )
    return [hold_id for (hold_id,) in rows]


async def hold_of(tx: AsyncSession, hold_id: UUID) -> AppointmentHold:
    """Lock the hold of a reservation."""
    return (
        await tx.scalars(
            select(AppointmentHold)
            .where(AppointmentHold.id == hold_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    ).one()


async def lock_terminals(tx: AsyncSession, ids: Collection[UUID]) -> None:
    """Lock terminals until the transaction ends, in the order in which moves do."""
    await fetched(
        tx,
        "SELECT id FROM terminal WHERE id = ANY(%(ids)s) ORDER BY serial_number FOR UPDATE",
        {"ids": list(ids)},
    )


_KEEP_TERMINALS = """
    INSERT INTO reserved_terminal (id, reservation_id, terminal_id)
    SELECT one.id, %(reservation_id)s, one.terminal_id
    FROM unnest(%(ids)s::uuid[], %(terminals)s::uuid[]) AS one (id, terminal_id)
    ON CONFLICT DO NOTHING RETURNING terminal_id
"""


async def keep_terminals(
    tx: AsyncSession, reservation_id: UUID, terminals: Sequence[UUID], ids: Sequence[UUID]
) -> int:
    """Keep terminals for a reservation; return how many nobody else has kept meanwhile."""
    given = {"reservation_id": reservation_id, "ids": list(ids), "terminals": list(terminals)}
    return len(await fetched(tx, _KEEP_TERMINALS, given)) if terminals else 0


_STILL_THERE = """
    SELECT count(*) FROM reserved_terminal r JOIN terminal t ON t.id = r.terminal_id
    WHERE r.reservation_id = %(id)s AND r.ended_at IS NULL
        AND t.pool = 'van' AND t.technician_id = %(technician_id)s
"""


async def still_there(tx: AsyncSession, reservation_id: UUID, technician_id: UUID) -> int:
    """Count the terminals of a reservation that are in the technician's van still."""
    given = {"id": reservation_id, "technician_id": technician_id}
    [(count,)] = await fetched(tx, _STILL_THERE, given)
    return int(count)


_FREE_TERMINALS = """
    UPDATE reserved_terminal SET ended_at = %(now)s
    WHERE reservation_id = %(id)s AND ended_at IS NULL
"""


async def free_reserved(tx: AsyncSession, reservation_id: UUID, *, now: datetime) -> None:
    """Keep a reservation's terminals no longer."""
    await fetched(tx, _FREE_TERMINALS + "RETURNING id", {"id": reservation_id, "now": now})


# A reservation that somebody has locked is being used or given free by them. Materialized: a plan
# may run a subquery once for each row, and each run finds as many again.
_END_EXPIRED = """
    WITH gone AS MATERIALIZED (
        SELECT id FROM install_reservation
        WHERE state = 'held' AND expires_at <= %(now)s
            AND (%(technician_id)s::uuid IS NULL OR technician_id = %(technician_id)s)
        ORDER BY id LIMIT %(size)s FOR UPDATE SKIP LOCKED
    ), over AS (
        UPDATE install_reservation AS i SET state = 'expired', ended_at = i.expires_at
        FROM gone
        WHERE i.id = gone.id RETURNING i.id
    ), freed AS (
        UPDATE reserved_terminal AS r SET ended_at = %(now)s
        FROM over WHERE r.reservation_id = over.id AND r.ended_at IS NULL
    )
    SELECT id FROM over
"""


async def end_expired(
    tx: AsyncSession, *, now: datetime, technician_id: UUID | None = None, size: int = 1000
) -> int:
    """End reservations whose time is over, of one technician or of all; return how many."""
    given = {"now": now, "technician_id": technician_id, "size": size}
    ended = [row[0] for row in await fetched(tx, _END_EXPIRED, given)]
    if ended:
        audit.note(tx, table="install_reservation", operation="expired", ids=ended)
    return len(ended)


# --- installs -------------------------------------------------------------------------------------


# A line is live once the platform has opened it: as long after it was asked for, by the business's
# clock, as the platform took. What needs no platform is live once the order is completed.
_SETTLE = """
    UPDATE same_visit_install AS s SET
        activated_at = found.live_at,
        gone_at = CASE WHEN found.live_at IS NULL AND found.state = 'cancelled' THEN %(now)s END
    FROM (
        SELECT i.sale_id, o.state,
            coalesce(
                line.live_at,
                CASE WHEN o.state IN ('completed', 'archived') AND (
                    line.asked = 0 OR EXISTS (
                        SELECT FROM activation_override v WHERE v.work_order_id = o.id
                            AND v.cause IN ('provisioned_by_phone', 'no_activation_needed')
                    )
                ) THEN o.completed_at END
            ) AS live_at
        FROM same_visit_install i JOIN work_order o ON o.id = i.work_order_id
        CROSS JOIN LATERAL (
            SELECT count(*) AS asked,
                min(a.asked_at + (a.ended_at - a.created_at))
                    FILTER (WHERE a.state = 'provisioned') AS live_at
            FROM activation a WHERE a.work_order_id = o.id
        ) AS line
        WHERE i.activated_at IS NULL AND i.gone_at IS NULL
            AND (%(work_order_id)s::uuid IS NULL OR o.id = %(work_order_id)s)
    ) AS found
    WHERE s.sale_id = found.sale_id AND s.activated_at IS NULL AND s.gone_at IS NULL
        AND (found.live_at IS NOT NULL OR found.state = 'cancelled')
    RETURNING s.sale_id, s.work_order_id, s.activated_at
"""
_FREE_OF_CLOSED = """
    UPDATE reserved_terminal AS r SET ended_at = %(now)s
    FROM same_visit_install s JOIN work_order o ON o.id = s.work_order_id
    WHERE r.reservation_id = s.reservation_id AND r.ended_at IS NULL
        AND o.state IN ('completed', 'archived', 'cancelled')
        AND (%(work_order_id)s::uuid IS NULL OR o.id = %(work_order_id)s)
    RETURNING r.id
"""


class Settled(NamedTuple):
    """An install that is live, or was called off: then `activated_at` is None."""

    sale_id: UUID
    work_order_id: UUID
    activated_at: datetime | None


async def settle(
    tx: AsyncSession, *, now: datetime, work_order_id: UUID | None = None
) -> list[Settled]:
    """Write down which installs are live or called off by now, of one order or of all, and keep
    the terminals of closed orders no longer."""
    given = {"now": now, "work_order_id": work_order_id}
    settled = [Settled(*row) for row in await fetched(tx, _SETTLE, given)]
    await fetched(tx, _FREE_OF_CLOSED, given)
    if settled:
        ids = [one.sale_id for one in settled]
        audit.note(tx, table="same_visit_install", operation="settled", ids=ids)
    return settled


_TWO_HOURS = text(
    """
    SELECT count(*) AS sold,
        count(*) FILTER (WHERE fate = 'in_time') AS in_time,
        count(*) FILTER (WHERE fate = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE fate = 'excused') AS excused,
        count(*) FILTER (WHERE fate = 'running') AS running
    FROM (
        SELECT CASE
            WHEN s.activated_at <= s.accepted_at + make_interval(mins => :minutes) THEN 'in_time'
            WHEN s.gone_at IS NOT NULL THEN 'cancelled'
            WHEN EXISTS (
                SELECT FROM clock_stop c WHERE c.work_order_id = s.work_order_id
                    AND c.exempts AND c.withdrawn_at IS NULL
            ) THEN 'excused'
            WHEN s.activated_at IS NULL
                AND :now < s.accepted_at + make_interval(mins => :minutes) THEN 'running'
            ELSE 'late'
        END AS fate
        FROM same_visit_install s JOIN org_unit u ON u.id = s.org_unit_id
        WHERE starts_with(u.path, :org_path)
            AND s.accepted_at >= :begins AND s.accepted_at < :ends
    ) AS installs
    """
)


async def two_hours(
    session: AsyncSession,
    org_path: str,
    *,
    begins: datetime,
    ends: datetime,
    minutes: int,
    now: datetime,
) -> TwoHours:
    """Count what came of the sales of a unit and all beneath it, between two moments."""
    given: dict[str, Any] = {
        "org_path": org_path,
        "begins": begins,
        "ends": ends,
        "minutes": minutes,
        "now": now,
    }
    row = (await session.execute(_TWO_HOURS, given)).one()
    return TwoHours(**row._mapping)
