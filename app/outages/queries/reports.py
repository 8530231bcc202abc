"""Reports as outages see them: taken up from new orders, and read for a look at a district."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.outages.rules import Place, PlaceKind, Report, places_of
from app.workorders.rules import CLOSED, State

# What this backend makes itself is no report of a customer.
OURS = "yingwei"
# Whoever takes an order in commits some moments after its `received_at`, so what was there already
# is looked at once more for so long.
_LATE = timedelta(minutes=10)

# A customer's line is the one of the service that is reported, else the only one they have.
_TAKE_UP = text(
    """
    INSERT INTO fault_report
        (work_order_id, at, received_at, who, district_path, grid_id, locality, port, judged)
    SELECT o.id, least(o.reported_at, o.received_at), o.received_at, coalesce(o.customer_id, o.id),
        substring(u.path FROM '^(?:[^.]+[.]){1,3}'), o.grid_id,
        coalesce(line.locality, o.locality), line.olt_port, o.received_at < :recent
    FROM (
        SELECT * FROM work_order w
        WHERE w.work_type = 'repair' AND w.received_at > :since AND w.source <> :ours
            AND NOT EXISTS (SELECT FROM fault_report known WHERE known.work_order_id = w.id)
        ORDER BY w.received_at LIMIT :most
    ) AS o
    JOIN org_unit u ON u.id = o.org_unit_id
    LEFT JOIN LATERAL (
        SELECT a.locality, a.olt_port
        FROM (
            SELECT every.*, count(*) OVER () AS number
            FROM service_address every WHERE every.customer_id = o.customer_id
        ) AS a
        LEFT JOIN subscription s
            ON s.service_address_id = a.id AND s.service_number = o.service_number
        WHERE s.id IS NOT NULL OR a.number = 1
        ORDER BY s.id IS NULL LIMIT 1
    ) AS line ON true
    ON CONFLICT DO NOTHING
    """
)
_LAST = text("SELECT max(received_at) FROM fault_report")


async def take_up(tx: AsyncSession, *, oldest: datetime, recent: datetime, most: int) -> int:
    """Write down the repairs that have come in and are not written down yet, up to so many; return
    how many there were.

    What came in before `oldest` is left out; what came in before `recent` is only learned from, as
    in a system that has years of orders when it begins to look for outages.
    """
    last: datetime | None = await tx.scalar(_LAST)
    since = oldest if last is None else max(oldest, last - _LATE)
    done = await tx.execute(
        _TAKE_UP, {"since": since, "recent": recent, "most": most, "ours": OURS}
    )
    return done.rowcount  # type: ignore[attr-defined, no-any-return]


async def districts_to_judge(tx: AsyncSession) -> Sequence[str]:
    """List the districts in which there are reports that nobody has looked at."""
    found = await tx.scalars(
        text("SELECT DISTINCT district_path FROM fault_report WHERE NOT judged ORDER BY 1")
    )
    return found.all()


_ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('outages:' || :path, 0))")


async def alone(tx: AsyncSession, district_path: str) -> bool:
    """Tell whether this transaction is now the only one that looks at a district."""
    return bool(await tx.scalar(_ALONE, {"path": district_path}))


class Seen(NamedTuple):
    """A report and how its order stands; the point is in WGS-84 degrees, None without one."""

    report: Report
    judged: bool
    apart_from: Collection[UUID]
    outage_id: UUID | None
    state: State
    org_unit_id: UUID
    point: tuple[float, float] | None

    @property
    def open(self) -> bool:
        """Tell whether there is still something to be done about it."""
        return self.state not in CLOSED


_SEEN = """
    SELECT f.work_order_id, f.at, f.who, f.district_path, f.grid_id, f.locality, f.port, f.judged,
        f.apart_from, o.outage_id, o.state, o.org_unit_id, ST_X(o.point), ST_Y(o.point)
    FROM fault_report f JOIN work_order o ON o.id = f.work_order_id
"""
_OF_DISTRICT = text(f"{_SEEN} WHERE f.district_path = :path AND (f.at > :since OR NOT f.judged)")


async def of_district(tx: AsyncSession, district_path: str, since: datetime) -> list[Seen]:
    """Read the reports of a district since a moment, and what has not been looked at of before."""
    rows = await tx.execute(_OF_DISTRICT, {"path": district_path, "since": since})
    return [_seen(row) for row in rows]


def _seen(row: Sequence[object]) -> Seen:
    order_id, at, who, path, grid_id, locality, port, judged, apart, outage_id, *rest = row
    state, org_unit_id, lon, lat = rest
    places = places_of(port=port, grid_id=grid_id, locality=locality, district_path=path)  # type: ignore[arg-type]
    return Seen(
        Report(order_id, at, who, places),  # type: ignore[arg-type]
        bool(judged),
        apart,  # type: ignore[arg-type]
        outage_id,  # type: ignore[arg-type]
        State(str(state)),
        org_unit_id,  # type: ignore[arg-type]
        None if lon is None else (lon, lat),  # type: ignore[arg-type]
    )


# A place's own reports, for one that is declared by hand; its district bounds what is read.
_AT = {
    PlaceKind.PORT: "f.port = :key",
    PlaceKind.OLT: "starts_with(f.port, :key || '/')",
    PlaceKind.COMPOUND: "replace(f.locality, ' ', '') = :key",
    PlaceKind.GRID: "f.grid_id = CAST(:key AS uuid)",
}


async def of_place(
    tx: AsyncSession, place: Place, district_path: str, since: datetime
) -> list[Seen]:
    """Read the reports of a place of a district since a moment."""
    key = place.key.rpartition("|")[2]
    statement = text(
        f"{_SEEN} WHERE f.district_path = :path AND f.at >= :since AND {_AT[place.kind]}"
    )
    rows = await tx.execute(statement, {"path": district_path, "since": since, "key": key})
    return [_seen(row) for row in rows]


_MARK = {
    "judged": text("UPDATE fault_report SET judged = true WHERE work_order_id = ANY(:ids)"),
    "explained": text("UPDATE fault_report SET usual = false WHERE work_order_id = ANY(:ids)"),
}
_APART = text(
    """
    UPDATE fault_report SET apart_from = array_append(apart_from, :outage_id)
    WHERE work_order_id = ANY(:ids) AND NOT :outage_id = ANY(apart_from)
    """
)
_NEAR = text(
    """
    UPDATE fault_report SET apart_from = array_remove(apart_from, :outage_id)
    WHERE work_order_id = ANY(:ids)
    """
)


async def judged(tx: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Note that these reports have been looked at."""
    await tx.execute(_MARK["judged"], {"ids": list(order_ids)})


async def explained(tx: AsyncSession, order_ids: Collection[UUID]) -> None:
    """Note that an outage explains these reports: an ordinary week has not so many."""
    await tx.execute(_MARK["explained"], {"ids": list(order_ids)})


async def set_apart(tx: AsyncSession, outage_id: UUID, order_ids: Collection[UUID]) -> None:
    """Note that these reports do not belong to an outage, however it looks."""
    await tx.execute(_APART, {"outage_id": outage_id, "ids": list(order_ids)})


async def bring_back(tx: AsyncSession, outage_id: UUID, order_ids: Collection[UUID]) -> None:
    """Forget that these reports were set apart from an outage."""
    await tx.execute(_NEAR, {"outage_id": outage_id, "ids": list(order_ids)})
