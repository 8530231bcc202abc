"""Reads and set-based writes of shifts and positions."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.presence.models import Duty
from app.presence.rules import OnShift, Point


async def duty_for_change(tx: AsyncSession, technician_id: UUID, duty_id: UUID) -> Duty | None:
    """Return a technician's shift, held for a change."""
    return await tx.scalar(
        select(Duty)
        .where(Duty.id == duty_id, Duty.technician_id == technician_id)
        .with_for_update()
    )


async def is_within(session: AsyncSession, technician_id: UUID, org_path: str) -> bool:
    """Tell whether a technician belongs to a subtree."""
    rows = await fetched(
        session,
        """
        SELECT 1 FROM technician AS t JOIN org_unit AS u ON u.id = t.org_unit_id
        WHERE t.id = %(id)s AND starts_with(u.path, %(path)s)
        """,
        {"id": technician_id, "path": org_path},
    )
    return bool(rows)


async def alone(tx: AsyncSession, technician_id: UUID) -> None:
    """Let nobody else begin or end a technician's shift until the transaction ends."""
    key = f"duty:{technician_id}"
    await fetched(
        tx, "SELECT pg_advisory_xact_lock(hashtextextended(%(key)s, 0))::text", {"key": key}
    )


async def open_duty(session: AsyncSession, technician_id: UUID) -> Duty | None:
    """Return the shift that a technician is on."""
    return await session.scalar(
        select(Duty).where(Duty.technician_id == technician_id, Duty.ended_at.is_(None))
    )


async def duties_between(
    session: AsyncSession, technician_id: UUID, since: datetime, until: datetime
) -> Sequence[Duty]:
    """List a technician's shifts that touch a span of time, the latest first."""
    found = await session.scalars(
        select(Duty)
        .where(
            Duty.technician_id == technician_id,
            Duty.began_at <= until,
            Duty.ended_at.is_(None) | (Duty.ended_at > since),
        )
        .order_by(Duty.began_at.desc())
        .limit(100)
    )
    return found.all()


async def last_before(session: AsyncSession, technician_id: UUID, moment: datetime) -> Point | None:
    """Return the last position that is kept of somebody before a moment."""
    rows = await fetched(
        session,
        """
        SELECT at, ST_X(point), ST_Y(point), accuracy_m::float8 FROM position
        WHERE technician_id = %(technician_id)s AND at < %(moment)s ORDER BY at DESC LIMIT 1
        """,
        {"technician_id": technician_id, "moment": moment},
    )
    return Point._make(rows[0]) if rows else None


async def keep(tx: AsyncSession, technician_id: UUID, kept: Sequence[tuple[UUID, Point]]) -> int:
    """Write positions, each with its shift's id, in one statement; what is there already is left.
    Returns how many are new."""
    if not kept:
        return 0
    rows = await fetched(
        tx,
        """
        INSERT INTO position (technician_id, at, duty_id, point, accuracy_m)
        SELECT %(technician_id)s, one.at, one.duty_id,
            ST_SetSRID(ST_MakePoint(one.lon, one.lat), 4326), one.accuracy_m
        FROM unnest(%(times)s::timestamptz[], %(duties)s::uuid[], %(lons)s::float8[],
            %(lats)s::float8[], %(accuracies)s::bigint[]) AS one (at, duty_id, lon, lat, accuracy_m)
        ON CONFLICT DO NOTHING RETURNING 1
        """,
        {
            "technician_id": technician_id,
            "times": [point.at for _, point in kept],
            "duties": [duty_id for duty_id, _ in kept],
            "lons": [point.lon for _, point in kept],
            "lats": [point.lat for _, point in kept],
            "accuracies": [round(point.accuracy_m) for _, point in kept],
        },
    )
    return len(rows)


async def delete_of_duty(tx: AsyncSession, duty: Duty) -> int:
    """Delete the positions of a shift; returns how many there were."""
    rows = await fetched(
        tx,
        """
        DELETE FROM position WHERE technician_id = %(technician_id)s AND at >= %(began_at)s
            AND duty_id = %(id)s RETURNING 1
        """,
        {"technician_id": duty.technician_id, "began_at": duty.began_at, "id": duty.id},
    )
    return len(rows)


async def forget(tx: AsyncSession, before: datetime, most: int) -> int:
    """Delete up to so many positions of before a moment; returns how many went."""
    rows = await fetched(
        tx,
        """
        DELETE FROM position WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM position WHERE at < %(before)s LIMIT %(most)s
        )) RETURNING 1
        """,
        {"before": before, "most": most},
    )
    return len(rows)


async def end_left_open(tx: AsyncSession, before: datetime, hours: float) -> int:
    """End the shifts that began before a moment and that nobody has ended, at their longest."""
    rows = await fetched(
        tx,
        """
        UPDATE duty SET "end" = 'left_open', ended_at = began_at + make_interval(secs => %(secs)s)
        WHERE ended_at IS NULL AND began_at < %(before)s RETURNING id
        """,
        {"before": before, "secs": hours * 3600},
    )
    return len(rows)


# When a phone of somebody, `t`, was last heard of, and whether one listens.
HEARD = """
    LEFT JOIN LATERAL (
        SELECT max(v.last_seen_at) AS at, bool_or(EXISTS (
            SELECT FROM device_stream AS s JOIN stream_process AS p ON p.id = s.process_id
            WHERE s.device_id = v.id AND p.alive_until > clock_timestamp()
        )) AS streaming
        FROM account AS a JOIN device AS v ON v.account_id = a.id WHERE a.technician_id = t.id
    ) AS heard ON true
"""
# The last position of the shift `d` that somebody is on; nothing where they do not agree to it.
LAST_POSITION = """
    LATERAL (
        SELECT * FROM position WHERE technician_id = d.technician_id AND at >= d.began_at
            AND d.consent_from IS NOT NULL
        ORDER BY at DESC LIMIT 1
    ) AS p ON p.duty_id = d.id
"""

# Who belongs to the subtree, whatever unit they may be lent to: their employer answers for them.
_THERE = f"""
    SELECT t.id, t.code, t.name, t.org_unit_id, d.began_at, heard.at,
        coalesce(heard.streaming, false), d.consent_from IS NOT NULL
    FROM technician AS t JOIN org_unit AS u ON u.id = t.org_unit_id
    LEFT JOIN duty AS d ON d.technician_id = t.id AND d.ended_at IS NULL
    {HEARD}
    WHERE t.active AND starts_with(u.path, %(path)s) AND t.code > %(after)s
        AND (NOT %(on_shift)s OR d.id IS NOT NULL)
    ORDER BY t.code LIMIT %(most)s
"""  # noqa: S608 - text of our own


async def there(
    read: AsyncSession, *, org_path: str, on_shift: bool, after: str, size: int
) -> list[OnShift]:
    """List who belongs to a subtree and who is on shift, by code; one more than a page has."""
    given = {"path": org_path, "on_shift": on_shift, "after": after, "most": size + 1}
    return [OnShift._make(row) for row in await fetched(read, _THERE, given)]


class Whereabouts(NamedTuple):
    """About where somebody was last, on the shift that they are on."""

    technician_id: UUID
    code: str
    name: str
    at: datetime
    lon: float
    lat: float
    accuracy_m: int


_WHERE = f"""
    SELECT t.id, t.code, t.name, p.at, ST_X(p.point), ST_Y(p.point), p.accuracy_m
    FROM duty AS d JOIN technician AS t ON t.id = d.technician_id AND t.active
    JOIN org_unit AS u ON u.id = t.org_unit_id
    JOIN {LAST_POSITION}
    WHERE d.ended_at IS NULL AND starts_with(u.path, %(path)s)
    ORDER BY t.code LIMIT %(most)s
"""  # noqa: S608 - text of our own


async def last_positions(tx: AsyncSession, org_path: str, most: int) -> list[Whereabouts]:
    """Read about where those of a subtree are who are on shift and agree to it."""
    rows = await fetched(tx, _WHERE, {"path": org_path, "most": most})
    return [Whereabouts._make(row) for row in rows]


async def track(
    session: AsyncSession, technician_id: UUID, since: datetime, until: datetime, most: int
) -> list[Point]:
    """Read the positions of somebody from a moment on, before another, in their order."""
    given: dict[str, Any] = {
        "technician_id": technician_id,
        "since": since,
        "until": until,
        "most": most,
    }
    rows = await fetched(
        session,
        """
        SELECT at, ST_X(point), ST_Y(point), accuracy_m::float8 FROM position
        WHERE technician_id = %(technician_id)s AND at >= %(since)s AND at < %(until)s
        ORDER BY at LIMIT %(most)s
        """,
        given,
    )
    return [Point._make(row) for row in rows]
