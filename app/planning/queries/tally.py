"""What a night adds up: what each technician had, and how well plans were kept."""

from datetime import date, datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.workorders.happened import HAPPENED

# The travel's nights are this one's too, in their order: a night's trips are written by then.
_DUE = text(
    """
    SELECT until, greatest(since, until - make_interval(days => :most)) AS since
    FROM (
        SELECT until, lag(until) OVER (ORDER BY until) AS since FROM night WHERE work = 'travel'
    ) AS nights
    WHERE until > coalesce((SELECT max(until) FROM night WHERE work = :work), '-infinity')
    ORDER BY until LIMIT 1
    """
)


class Span(NamedTuple):
    """What came to the server within a time."""

    since: datetime
    until: datetime


async def next_span(session: AsyncSession, work: str, most_days: int) -> Span | None:
    """Find the next night that travel has learned from and this work has not added up."""
    row = (await session.execute(_DUE, {"work": work, "most": most_days})).one_or_none()
    return Span(row.since, row.until) if row is not None else None


# A stay at a door lasts from checking in, or going on, to whatever ended it, and belongs to the
# local day of its end; a stay that somebody else ended, by cancelling, is not counted.
_HAD = text(
    f"""
    WITH happened AS ({HAPPENED}), steps AS (
        SELECT h.*, lag(h.step) OVER own AS before,
            greatest(extract(epoch FROM h.moment - lag(h.moment) OVER own), 0) AS took
        FROM happened h
        WINDOW own AS (PARTITION BY h.work_order_id, h.technician_id ORDER BY h.at, h.id)
    )
    INSERT INTO workload_day AS held
        (technician_id, day, work_seconds, travel_seconds, metres, visits, opportunities)
    SELECT s.technician_id, s.day,
        coalesce(sum(least(s.took, :longest_work)) FILTER (
            WHERE s.step IN ('suspend', 'complete', 'hand_back', 'transfer')
                AND s.before IN ('check_in', 'resume')
        ), 0),
        coalesce(sum(least(s.took, :longest_way)) FILTER (
            WHERE s.step IN ('check_in', 'hand_back', 'transfer') AND s.before = 'travel'
        ), 0),
        coalesce(sum(trip.metres), 0),
        count(*) FILTER (WHERE s.step = 'check_in'),
        count(*) FILTER (WHERE s.step = 'check_in' AND EXISTS (
            SELECT FROM suggestion_decision d
            WHERE d.held_back IS NULL AND (
                d.visit_id = CAST(s.facts ->> 'visit_id' AS uuid)
                -- Shown by a phone that had taken it ahead of the visit, and was offline since.
                OR d.visit_id IS NULL AND d.work_order_id = s.work_order_id
                AND d.technician_id = s.technician_id
                AND s.at BETWEEN d.at AND d.valid_until
            )
        ))
    FROM steps s LEFT JOIN trip ON trip.id = s.id
    WHERE s.fresh
    GROUP BY s.technician_id, s.day
    ON CONFLICT (technician_id, day) DO UPDATE SET
        work_seconds = held.work_seconds + excluded.work_seconds,
        travel_seconds = held.travel_seconds + excluded.travel_seconds,
        metres = held.metres + excluded.metres,
        visits = held.visits + excluded.visits,
        opportunities = held.opportunities + excluded.opportunities
    """  # noqa: S608 - text of our own
)
# Shifts have no history: a day is what they say in the night after it.
_PRESENT = text(
    """
    INSERT INTO workload_day AS held (technician_id, day, present_seconds)
    SELECT t.id, local.day, least(at_work.seconds, t.daily_minutes * 60)
    FROM technician t
    JOIN org_unit u ON u.id = t.org_unit_id
    CROSS JOIN LATERAL (
        SELECT (CAST(:until AS timestamptz) AT TIME ZONE u.time_zone - interval '12 hours')::date
            AS day
    ) AS local
    CROSS JOIN LATERAL (
        SELECT range_agg(tstzrange(
            (local.day + s.starts_at) AT TIME ZONE u.time_zone,
            (local.day + s.ends_at) AT TIME ZONE u.time_zone
        )) AS pieces
        FROM shift s
        WHERE s.technician_id = t.id AND s.weekday = extract(isodow FROM local.day) - 1
    ) AS shifts
    CROSS JOIN LATERAL (
        SELECT coalesce(range_agg(tstzrange(l.starts_at, l.ends_at)), '{}') AS pieces
        FROM leave l
        WHERE l.technician_id = t.id
            AND l.ends_at > CAST(:until AS timestamptz) - interval '2 days'
            AND l.starts_at < CAST(:until AS timestamptz)
    ) AS away
    CROSS JOIN LATERAL (
        SELECT sum(extract(epoch FROM upper(piece) - lower(piece))) AS seconds
        FROM unnest(shifts.pieces - away.pieces) AS piece
    ) AS at_work
    WHERE t.active AND at_work.seconds > 0
    ON CONFLICT (technician_id, day) DO UPDATE SET present_seconds = excluded.present_seconds
    """
)
_STEPS = ["travel", "check_in", "suspend", "resume", "complete", "hand_back", "transfer"]


async def add_workload(
    tx: AsyncSession, span: Span, *, longest_work: int, longest_way: int
) -> None:
    """Add what is new to what technicians had on days, and say who was on shift the day before.

    What one stay at a door and one way count at most is in seconds.
    """
    given = {**span._asdict(), "steps": _STEPS}
    await tx.execute(_HAD, {**given, "longest_work": longest_work, "longest_way": longest_way})
    await tx.execute(_PRESENT, {"until": span.until})


_KEPT = text(
    f"""
    WITH happened AS ({HAPPENED}), steps AS (
        SELECT h.*, lag(h.moment) OVER own AS set_out, lag(h.step) OVER own AS before
        FROM happened h
        WINDOW own AS (PARTITION BY h.work_order_id, h.technician_id ORDER BY h.at, h.id)
    )
    INSERT INTO plan_error (id, org_unit_id, day, first, last)
    SELECT s.id, s.org_unit_id, s.day,
        extract(epoch FROM s.moment - planned.first), extract(epoch FROM s.moment - planned.last)
    FROM steps s
    CROSS JOIN LATERAL (
        SELECT (array_agg(v.begins_at ORDER BY p.published_at))[1] AS first,
            (array_agg(v.begins_at ORDER BY p.published_at DESC))[1] AS last
        FROM plan_visit v JOIN day_plan p ON p.id = v.plan_id
        WHERE v.work_order_id = s.work_order_id AND p.day = s.day AND v.begins_at IS NOT NULL
            AND p.published_at <= CASE WHEN s.before = 'travel' THEN s.set_out ELSE s.moment END
    ) AS planned
    WHERE s.fresh AND s.step = 'check_in' AND planned.first IS NOT NULL
    ON CONFLICT (id) DO NOTHING
    """  # noqa: S608 - text of our own
)


async def add_plan_errors(tx: AsyncSession, span: Span) -> None:
    """Hold the check-ins that are new against the plans of their days."""
    await tx.execute(_KEPT, {**span._asdict(), "steps": ["travel", "check_in"]})


_FORGET = (
    text("DELETE FROM plan_error WHERE day < :before"),
    text("DELETE FROM workload_day WHERE day < :before"),
)


async def forget(tx: AsyncSession, before: date) -> None:
    """Delete what is of local days before another."""
    for statement in _FORGET:
        await tx.execute(statement, {"before": before})


# The partial index is of what is left to forget, however many plans there were.
_FORGET_INPUTS = text(
    "UPDATE day_plan SET inputs = NULL WHERE day < :before AND inputs IS NOT NULL"
)


async def forget_inputs(tx: AsyncSession, before: date) -> None:
    """Forget what plans of local days before another were made from; the plans stay."""
    await tx.execute(_FORGET_INPUTS, {"before": before})
