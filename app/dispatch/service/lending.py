"""Whom a unit could borrow on a day: who of the district's other branches has time, and how far."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import district_of
from app.core.geo import distance_m
from app.dispatch.queries import lending as queries
from app.dispatch.service.people import diaries_of
from app.technicians import directory
from app.technicians import queries as technicians
from app.travel.queries import travel_in_force
from app.travel.rules import Place


@dataclass(frozen=True, slots=True)
class Helper:
    """Somebody who could be borrowed: minutes not promised yet, and of these what the way from home
    to the middle of the borrowing unit and back leaves. Without a home the way is a usual one."""

    person: Any
    skills: dict[str, int]
    free: int
    usable: int
    orders: int
    distance_m: int | None
    way_seconds: int


async def candidates(
    session: AsyncSession,
    unit: OrgUnit,
    day: date,
    *,
    skill: str | None,
    size: int,
    now: datetime,
) -> list[Helper]:
    """List whom a unit could borrow on a local day, who has most time left for it first.

    Whoever is away or lent on that day, or has no time left, is not among them.
    """
    people = await queries.neighbours(
        session, district=district_of(unit.path), org_path=unit.path, skill=skill
    )
    known = {person.id: person for person in people}
    if not known:
        return []
    until = max(now, datetime.combine(day, datetime.min.time(), now.tzinfo)) + timedelta(days=2)
    diaries = await diaries_of(session, known, now=now, until=until)
    loans = await technicians.loans_on(session, technician_ids=known, first_day=day, last_day=day)
    lent = {loan.technician_id for loan in loans}
    middle = await queries.middle_of(session, unit.path)
    travel = await travel_in_force(session, now, unit.path)
    found = []
    for technician_id, diary in diaries.items():
        left = diary.day(day)
        if technician_id in lent or left.away is not None or left.left < 1 or day < diary.today:
            continue
        home = diary.home
        way = travel.seconds(home and Place(*home), middle and Place(*middle))
        usable = int(left.left - way / 30)
        if usable < 1:
            continue
        found.append(
            Helper(
                person=known[technician_id],
                skills={},
                free=int(left.left),
                usable=usable,
                orders=diary.promised.get(day, (0, 0))[1],
                distance_m=round(float(distance_m(*home, *middle))) if home and middle else None,
                way_seconds=way,
            )
        )
    best = sorted(found, key=lambda one: (-one.usable, one.way_seconds, one.person.code))[:size]
    skills = await directory.skills_of(session, [one.person.id for one in best])
    for one in best:
        one.skills.update(skills[one.person.id])
    return best
