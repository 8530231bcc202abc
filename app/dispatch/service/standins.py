"""Points that can only be a geocoder's stand-in, since orders of many localities share them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import exists, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core import jobs
from app.core.db import fetched
from app.core.errors import NotFound
from app.dispatch import queries
from app.dispatch.models import DispatchPin, SharedPoint
from app.dispatch.queries import at_points
from app.dispatch.rules import PointKey
from app.technicians.availability import DayOf, Promised
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import MOVES, Step, UnplacedReason
from app.workorders.service import unplace_all

# The new localities are counted apart: a statement does not see the rows it adds itself.
_LOOK = """
    WITH given AS MATERIALIZED (
        SELECT lon_e6, lat_e6, locality FROM unnest(
            CAST(%(lons)s AS bigint[]), CAST(%(lats)s AS bigint[]), CAST(%(localities)s AS text[])
        ) AS given (lon_e6, lat_e6, locality)
    ), added AS (
        INSERT INTO point_locality (lon_e6, lat_e6, locality)
        SELECT DISTINCT lon_e6, lat_e6, locality FROM given
        WHERE locality IS NOT NULL AND NOT EXISTS (
            SELECT FROM shared_point s WHERE s.lon_e6 = given.lon_e6 AND s.lat_e6 = given.lat_e6
        )
        ORDER BY lon_e6, lat_e6, locality
        ON CONFLICT DO NOTHING
        RETURNING lon_e6, lat_e6
    ), newly AS (
        SELECT lon_e6, lat_e6, count(*) AS localities FROM added GROUP BY lon_e6, lat_e6
    )
    SELECT place.lon_e6, place.lat_e6, s.flagged_at IS NOT NULL AS flagged
    FROM (SELECT DISTINCT lon_e6, lat_e6 FROM given) AS place
    LEFT JOIN shared_point s USING (lon_e6, lat_e6)
    LEFT JOIN newly USING (lon_e6, lat_e6)
    WHERE s.trusted_at IS NULL AND (
        s.flagged_at IS NOT NULL
        OR coalesce(newly.localities, 0) + (
            SELECT count(*) FROM point_locality known
            WHERE known.lon_e6 = place.lon_e6 AND known.lat_e6 = place.lat_e6
        ) >= %(limit)s
    )
    """

_FLAG = text(
    """
    INSERT INTO shared_point (lon_e6, lat_e6, flagged_at)
    SELECT lon_e6, lat_e6, :now FROM unnest(
        CAST(:lons AS bigint[]), CAST(:lats AS bigint[])
    ) AS given (lon_e6, lat_e6)
    ON CONFLICT DO NOTHING
    """
)


async def look_out(
    tx: AsyncSession,
    seen: Mapping[PointKey, Collection[str]],
    *,
    limit: int,
    now: datetime,
) -> tuple[set[PointKey], dict[DayOf, Promised]]:
    """Remember which localities were named at which points, and tell the points not to trust.

    A point that at least `limit` different localities share is flagged, and every order there that
    nobody has begun is taken back at once, whenever it came. Returns all flagged points of those
    seen, and what the taken orders' holders are relieved of, for `choose_all` to do.
    """
    named: list[tuple[PointKey, str | None]] = [
        (point, place) for point, places in seen.items() for place in places or (None,)
    ]
    rows = await fetched(
        tx,
        _LOOK,
        {
            "lons": [lon for (lon, _), _ in named],
            "lats": [lat for (_, lat), _ in named],
            "localities": [place for _, place in named],
            "limit": limit,
        },
    )
    new = sorted((lon, lat) for lon, lat, flagged in rows if not flagged)
    relieved: dict[DayOf, Promised] = {}
    if new:
        lons, lats = [lon for lon, _ in new], [lat for _, lat in new]
        await tx.execute(_FLAG, {"lons": lons, "lats": lats, "now": now})
        audit.note(tx, table="shared_point", operation="flagged", count=len(new))
        relieved = await unplace_all(
            tx, await _not_begun_at(tx, new), UnplacedReason.SHARED_POINT, now=now
        )
    return {(lon, lat) for lon, lat, _ in rows}, relieved


async def _not_begun_at(tx: AsyncSession, points: Collection[PointKey]) -> Sequence[WorkOrder]:
    """Lock every order at these points that can still be taken back and that nobody has pinned."""
    return await workorders.all_for_change(
        tx,
        workorders.OPEN,
        WorkOrder.state.in_([state for state, step in MOVES if step is Step.UNPLACE]),
        WorkOrder.unplaced_reason.is_distinct_from(UnplacedReason.SHARED_POINT),
        # Whoever gave an order by hand knew where to send somebody.
        ~exists().where(DispatchPin.work_order_id == WorkOrder.id),
        at_points(points),
    )


async def untrusted(tx: AsyncSession, points: Collection[PointKey]) -> set[PointKey]:
    """Tell which of these points are flagged and trusted by nobody."""
    rows = await tx.execute(
        select(SharedPoint.lon_e6, SharedPoint.lat_e6).where(
            tuple_(SharedPoint.lon_e6, SharedPoint.lat_e6).in_(sorted(points)),
            SharedPoint.trusted_at.is_(None),
        )
    )
    return {(row.lon_e6, row.lat_e6) for row in rows}


async def trust(tx: AsyncSession, point: PointKey, caller: Caller, *, now: datetime) -> SharedPoint:
    """Say that a flagged point is real after all; the orders that wait there are placed afterwards.

    Trusting it again changes nothing. Raises NotFound for a point that is not flagged, or at which
    no order of the caller's subtree waits.
    """
    shared = await tx.get(SharedPoint, point, with_for_update=True, populate_existing=True)
    if shared is None or not await queries.waits_at(tx, point, caller):
        raise NotFound()
    if shared.trusted_at is None:
        shared.trusted_at = now
        await jobs.tell(tx, "point.trusted", lon_e6=point[0], lat_e6=point[1])
    return shared
