"""What is usual: learned at night from the reports of some weeks, and read place by place."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Rows, put
from app.outages.models import OutageRate, OutageRhythm
from app.outages.rules import HOURS, Place, PlaceKind, Rate, Usual


async def usual_of(session: AsyncSession, district_path: str, places: Collection[Place]) -> Usual:
    """Read what is usual in a district, and the rates of some of its places."""
    known = (
        await session.execute(
            select(OutageRhythm.hours, OutageRhythm.a_week, OutageRhythm.places).where(
                OutageRhythm.district_path == district_path
            )
        )
    ).one_or_none()
    rates: dict[Place, Rate] = {}
    if places:
        rows = await session.execute(
            select(
                OutageRate.place_kind, OutageRate.place_key, OutageRate.reports, OutageRate.weeks
            ).where(tuple_(OutageRate.place_kind, OutageRate.place_key).in_(sorted(places)))
        )
        rates = {Place(kind, key): Rate(reports, weeks) for kind, key, reports, weeks in rows}
    if known is None:
        return Usual(rates=rates)
    return Usual(tuple(known.hours), rates, known.places, known.a_week)


# --- learning -------------------------------------------------------------------------------------


class Counted(NamedTuple):
    """How many reports a place has had, and of which district it is."""

    place: Place
    district_path: str
    reports: int


_COUNTED = text(
    """
    SELECT 'olt_port' AS kind, port AS key, district_path, count(*) FROM fault_report
    WHERE usual AND at >= :since AND at < :until AND port IS NOT NULL GROUP BY 2, 3
    UNION ALL
    SELECT 'olt', split_part(port, '/', 1), district_path, count(*) FROM fault_report
    WHERE usual AND at >= :since AND at < :until AND port IS NOT NULL GROUP BY 2, 3
    UNION ALL
    SELECT 'compound', district_path || '|' || replace(locality, ' ', ''), district_path, count(*)
    FROM fault_report
    WHERE usual AND at >= :since AND at < :until AND locality IS NOT NULL GROUP BY 2, 3
    UNION ALL
    SELECT 'grid', grid_id::text, district_path, count(*) FROM fault_report
    WHERE usual AND at >= :since AND at < :until AND grid_id IS NOT NULL GROUP BY 2, 3
    """
)
# Places that have had no report at all count as well: without them every mean would be too high.
_THERE = text(
    """
    WITH served AS (
        SELECT DISTINCT substring(u.path FROM '^(?:[^.]+[.]){1,3}') AS path, a.olt_port AS port,
            replace(a.locality, ' ', '') AS locality
        FROM service_address a
        JOIN customer c ON c.id = a.customer_id JOIN org_unit u ON u.id = c.org_unit_id
    )
    SELECT 'olt_port', port, path FROM served WHERE port IS NOT NULL GROUP BY 2, 3
    UNION ALL
    SELECT 'olt', split_part(port, '/', 1), path FROM served WHERE port IS NOT NULL GROUP BY 2, 3
    UNION ALL
    SELECT 'compound', path || '|' || locality, path FROM served WHERE locality <> '' GROUP BY 2, 3
    UNION ALL
    SELECT 'grid', g.id::text, substring(u.path FROM '^(?:[^.]+[.]){1,3}')
    FROM grid g JOIN org_unit u ON u.id = g.org_unit_id
    """
)
_HOURS = text(
    """
    SELECT f.district_path,
        (extract(isodow FROM f.at AT TIME ZONE :zone)::int - 1) * 24
            + extract(hour FROM f.at AT TIME ZONE :zone)::int AS hour, count(*)
    FROM fault_report f WHERE f.usual AND f.at >= :since AND f.at < :until GROUP BY 1, 2
    """
)
_FIRST = text("SELECT min(at) FROM fault_report WHERE at >= :since")
_FORGET = text("DELETE FROM fault_report WHERE received_at < :before AND judged")


async def counted(session: AsyncSession, since: datetime, until: datetime) -> list[Counted]:
    """Count the ordinary reports of every place between two moments."""
    rows = await session.execute(_COUNTED, {"since": since, "until": until})
    return [Counted(Place(PlaceKind(kind), key), path, n) for kind, key, path, n in rows]


async def there(session: AsyncSession) -> list[Counted]:
    """List every place there is, as far as addresses and grids tell; with no reports."""
    rows = await session.execute(_THERE)
    return [Counted(Place(PlaceKind(kind), key), path, 0) for kind, key, path in rows]


async def hours_of(
    session: AsyncSession, since: datetime, until: datetime, zone: str
) -> dict[str, dict[int, int]]:
    """Count the ordinary reports of every district by the hour of the week, local time."""
    found: dict[str, dict[int, int]] = {}
    for path, hour, number in await session.execute(
        _HOURS, {"since": since, "until": until, "zone": zone}
    ):
        found.setdefault(path, {})[hour] = number
    return found


async def first_report(session: AsyncSession, since: datetime) -> datetime | None:
    """Find the first report since a moment."""
    found: datetime | None = await session.scalar(_FIRST, {"since": since})
    return found


async def forget(tx: AsyncSession, before: datetime) -> None:
    """Delete the reports that are older than what is learned from."""
    await tx.execute(_FORGET, {"before": before})


async def write(
    tx: AsyncSession,
    rates: Mapping[Place, Rate],
    rhythms: Mapping[str, tuple[Sequence[float], float, int]],
) -> None:
    """Write what was learned in place of what was learned before: places' rates, and by district
    the rhythm, the reports a week and how many places are watched."""
    assert all(len(hours) == HOURS for hours, _, _ in rhythms.values())
    await tx.execute(text("DELETE FROM outage_rate"))
    await tx.execute(text("DELETE FROM outage_rhythm"))
    await put(
        tx,
        Rows(
            "outage_rate",
            "place_kind place_key reports weeks",
            [
                (place.kind.value, place.key, rate.reports, rate.weeks)
                for place, rate in rates.items()
            ],
        ),
        Rows(
            "outage_rhythm",
            "district_path hours a_week places",
            [
                (path, "{" + ",".join(f"{hour:.5f}" for hour in hours) + "}", a_week, places)
                for path, (hours, a_week, places) in rhythms.items()
            ],
        ),
    )
