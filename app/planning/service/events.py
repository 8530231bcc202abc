"""Finding what calls for planning the rest of a day anew, and writing it down once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.dispatch.queries.routes import routes_of
from app.dispatch.rules.costs import LUNCH_SLACK
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.routes import Stop, follow
from app.outages.rules import said
from app.planning import rules
from app.planning.queries import events as queries
from app.planning.queries.events import Absent, Failed, Long, UnitDay, Urgent
from app.planning.rules import EventKind, Going, Happened, OnSite
from app.technicians import queries as technicians
from app.technicians.queries import Working
from app.travel.queries import travel_in_force
from app.travel.rules import Travel
from app.workorders.rules import UNPLACED_WORDS


async def look(tx: AsyncSession, *, now: datetime) -> set[UnitDay]:
    """Look for what has happened in the days under way and write it down, each thing once.

    Returns the days of org units in which there was something new.
    """
    numbers = await parameters_in_force(tx)
    absent = await queries.absent(tx, now=now)
    long = [
        one
        for one in await queries.long_visits(tx, now=now)
        if rules.is_long(_on_site(one), numbers, now)
    ]
    people: list[Absent | Long] = [*absent, *long]
    people = [one for one in people if _wanted(one.org_path, numbers, now)]
    happened = await _suffered(tx, people, numbers, now)
    for urgent in await queries.urgent_unplaced(tx, priority=rules.most_urgent(numbers), now=now):
        least = numbers.whole(rules.URGENT, now, urgent.org_path)
        if urgent.priority <= least and _wanted(urgent.org_path, numbers, now):
            happened.append((urgent.day, _urgent(urgent)))
    happened += [
        (one.day, _failed(one))
        for one in await queries.outages(tx, now=now)
        if _wanted(one.org_path, numbers, now)
    ]
    return await queries.keep(tx, happened, now=now)


def _wanted(org_path: str, numbers: Parameters, now: datetime) -> bool:
    return numbers.whole(rules.REPLANS, now, org_path) > 0


async def _suffered(
    tx: AsyncSession, people: Sequence[Absent | Long], numbers: Parameters, now: datetime
) -> list[tuple[date, Happened]]:
    """Follow the days of people to whom something has happened; those whose orders do not suffer
    from it are left out."""
    if not people:
        return []
    ids = {one.technician_id for one in people}
    today = min(one.day for one in people)
    days = {one.day for one in people}
    routes = await routes_of(tx, ids, days, today=today)
    working = await technicians.working(
        tx,
        ids,
        from_moment=now - timedelta(days=1),
        until_moment=now + timedelta(days=2),
        last_day=today - timedelta(days=1),
    )
    found = []
    for one in people:
        stops = routes[one.technician_id, one.day].stops
        who = working[one.technician_id]
        travel = await travel_in_force(tx, now, one.org_path)
        slack = numbers.whole(LUNCH_SLACK, now, one.org_path) * 60
        if isinstance(one, Long):
            suffer = _by_long_visit(one, who, stops, travel, slack, now)
            if suffer:
                found.append((one.day, _long(one, len(suffer), numbers, now)))
        elif one.leave is None:
            found.append((one.day, _gone(one)))
        else:
            suffer = _by_leave(one, who, stops, travel, slack, now)
            if suffer:
                found.append((one.day, _on_leave(one, len(suffer))))
    return found


def _goes(
    who: Working,
    day: date,
    stops: Sequence[Stop],
    travel: Travel,
    slack: int,
    now: datetime,
    begins: int | None = None,
) -> Going | None:
    """Follow a day; None when nobody works on it."""
    under_way = any(stop.under_way for stop in stops)
    frame = frame_of(who, day, now=now, lunch_slack=slack, under_way=under_way)
    if frame is None:
        return None
    if begins is not None:
        frame = frame._replace(begins=min(frame.begins, begins))
    return Going(follow(frame, stops, travel), frame.ends)


def _by_long_visit(
    one: Long, who: Working, stops: Sequence[Stop], travel: Travel, slack: int, now: datetime
) -> list[UUID]:
    """List the orders that would have been in time, had the visit ended as it was estimated."""
    as_it_goes = _goes(who, one.day, stops, travel, slack, now)
    planned_end = one.since + one.seconds
    otherwise = _goes(who, one.day, stops, travel, slack, now, begins=planned_end)
    if as_it_goes is None or otherwise is None:
        return []
    return rules.suffering(otherwise, as_it_goes)


def _by_leave(
    one: Absent, who: Working, stops: Sequence[Stop], travel: Travel, slack: int, now: datetime
) -> list[UUID]:
    """List the orders that would be done, or in time, were it not for the leave."""
    others = tuple(each for each in who.leave if each != one.leave)
    otherwise = _goes(replace(who, leave=others), one.day, stops, travel, slack, now)
    if otherwise is None:
        return []
    as_it_goes = _goes(who, one.day, stops, travel, slack, now)
    if as_it_goes is None:
        return [stop.order_id for stop in stops if not stop.under_way]
    return rules.suffering(otherwise, as_it_goes)


def _on_site(one: Long) -> OnSite:
    return OnSite(one.order_id, one.technician_id, one.org_path, one.since, one.seconds)


def _long(one: Long, orders: int, numbers: Parameters, now: datetime) -> Happened:
    visit = _on_site(one)
    facts: Mapping[str, object] = {
        "name": one.name,
        "external_id": one.external_id,
        "minutes": visit.over(now) // 60,
        "orders": orders,
    }
    return Happened(
        one.unit_id,
        EventKind.LONG_VISIT,
        rules.long_key(visit, numbers, now),
        one.technician_id,
        one.order_id,
        facts,
    )


def _on_leave(one: Absent, orders: int) -> Happened:
    return Happened(
        one.unit_id,
        EventKind.LEAVE,
        str(one.leave_id),
        one.technician_id,
        facts={"name": one.name, "orders": orders},
    )


def _gone(one: Absent) -> Happened:
    return Happened(
        one.unit_id,
        EventKind.INACTIVE,
        str(one.technician_id),
        one.technician_id,
        facts={"name": one.name, "orders": one.orders},
    )


def _urgent(one: Urgent) -> Happened:
    why = UNPLACED_WORDS[one.reason]
    return Happened(
        one.unit_id,
        EventKind.URGENT_ORDER,
        str(one.order_id),
        order_id=one.order_id,
        facts={
            "external_id": one.external_id,
            "priority": one.priority,
            "why_zh": why.zh,
            "why_en": why.en,
        },
    )


def _failed(one: Failed) -> Happened:
    name = said(one.kind, one.name)
    return Happened(
        one.unit_id,
        EventKind.OUTAGE,
        str(one.outage_id),
        facts={"name_zh": name.zh, "name_en": name.en, "orders": one.orders},
    )
