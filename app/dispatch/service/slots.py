"""Searching for slots: which a customer may have, how good each is, and why not the others.

Nothing is locked and nothing is written; what is offered here is looked at again when it is held.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import Invalid
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.dispatch import queries, rules
from app.dispatch.rules import (
    NOT_OFFERED_WORDS,
    NOW_SLOT,
    Ask,
    Booked,
    Grade,
    Grading,
    Need,
    NotOffered,
    Offer,
    Seat,
    Slot,
    Taken,
)
from app.dispatch.service.people import Asked, candidates_of, read_vans, seated, shares_of
from app.dispatch.service.placing import together
from app.dispatch.service.questions import Question
from app.technicians.availability import DayOf

# A search looks at so many local days at most.
MOST_DAYS = 31


async def look(
    session: AsyncSession,
    asked: Question,
    *,
    first_day: date,
    last_day: date,
    only: str | None = None,
) -> list[Offer]:
    """Look at the slots of some local days, or at one by its code: grades, or reasons why not.

    Raises NoSlotsDefined when the unit has none for such work, and Invalid for too many days.
    """
    seen = await _sight(session, asked, first_day=first_day, last_day=last_day, only=only)
    return [] if seen is None else [_offer(asked, slot, seen) for slot in seen.slots]


async def earliest(
    session: AsyncSession,
    asked: Question,
    needs: Sequence[Need],
    *,
    first_day: date,
    last_day: date,
) -> list[Offer | None]:
    """Find for each of several kinds of work the first slot of some local days that can be kept.

    All is read once, however many there are. Raises like `look`.
    """
    kinds = tuple(sorted({kind for need in needs for kind in need.terminals}))
    widest = replace(asked, terminals=kinds)
    seen = await _sight(session, widest, first_day=first_day, last_day=last_day)
    if seen is None:
        return [None] * len(needs)
    return [_earliest(replace(asked, **need._asdict()), seen) for need in needs]


def _earliest(asked: Question, seen: "_Sight") -> Offer | None:
    for slot in seen.slots:
        offer = _offer(asked, slot, seen)
        if offer.grade is not None:
            return offer
    return None


@dataclass(slots=True)
class _Sight:
    """Some slots, who may come then, and by what they are graded."""

    slots: Sequence[Slot]
    scene: "_Scene"
    grading: Grading
    reserve: float
    held_until: datetime


async def _sight(
    session: AsyncSession,
    asked: Question,
    *,
    first_day: date,
    last_day: date,
    only: str | None = None,
) -> _Sight | None:
    now, unit = asked.terms.now, asked.unit
    first_day = max(first_day, now.astimezone(unit.zone).date())
    if (last_day - first_day).days >= MOST_DAYS:
        message = f"must lie within {MOST_DAYS} days of the first"
        raise Invalid(errors=[{"field": "last_day", "message": message}])
    parameters = await parameters_in_force(session)
    slots = await _slots(session, asked, parameters, first_day, last_day, only)
    if not slots:
        return None
    grading = Grading(
        parameters.number(rules.GREEN_SHARE, now, unit.path) / 100,
        parameters.number(rules.YELLOW_SHARE, now, unit.path) / 100,
    )
    reserve = parameters.number(rules.URGENT_RESERVE, now, unit.path) / 100
    scene = await _scene(session, asked, slots, reserve=reserve > 0 and not asked.urgent)
    held_until = now + timedelta(minutes=parameters.number(rules.HOLD_MINUTES, now, unit.path))
    return _Sight(slots, scene, grading, reserve, held_until)


async def _slots(
    session: AsyncSession,
    asked: Question,
    parameters: Parameters,
    first_day: date,
    last_day: date,
    only: str | None,
) -> list[Slot]:
    now, unit = asked.terms.now, asked.unit
    templates = await queries.slot_templates(session)
    days = [first_day + timedelta(days=n) for n in range((last_day - first_day).days + 1)]
    close_minutes = parameters.number(rules.CLOSE_MINUTES, now, unit.path)
    slots = rules.slots_of(templates, asked.work_type, unit.path, unit.zone, days, close_minutes)
    if asked.activation and now.astimezone(unit.zone).date() in days:
        within = parameters.number(rules.ACTIVATION_MINUTES, now, unit.path)
        slots.insert(0, rules.slot_of_now(asked.work_type, now, unit.zone, asked.minutes, within))
    if not slots and not any(
        asked.work_type in one.work_types and unit.path.startswith(one.org_path)
        for one in templates
    ):
        raise rules.NoSlotsDefined(org_path=unit.path, work_type=asked.work_type)
    return [slot for slot in slots if only is None or slot.code == only]


@dataclass(slots=True)
class _Scene:
    """Who may come and their appointments by day, and the unit as far as it may say no."""

    seats: Sequence[Seat]
    taken: Mapping[DayOf, Sequence[Taken]]
    unit: rules.Unit


async def _scene(
    session: AsyncSession, asked: Question, slots: Sequence[Slot], *, reserve: bool
) -> _Scene:
    now, unit, last_day = asked.terms.now, asked.unit, slots[-1].day
    whole = Ask(
        asked.minutes,
        asked.skills,
        (min(slot.begins for slot in slots), max(slot.ends for slot in slots)),
    )
    one = Asked(whole, asked.grid_id, unit)
    candidates = await candidates_of(session, [one], now)
    seats, diaries = await seated(session, [one], candidates, now)
    taken: dict[DayOf, list[Taken]] = {}
    for load in await queries.loads(
        session,
        diaries,
        grid_id=asked.grid_id,
        last_day=last_day,
        now=now,
        without=asked.without,
    ):
        diary = diaries[load.technician_id]
        # What days gone by still hold is today's.
        day = max(load.day, diary.today)
        taken.setdefault((load.technician_id, day), []).append(load.taken)
        diary.relieve(load.day, -load.over.minutes, -load.over.orders)
        diary.windows.setdefault(day, []).extend(
            Booked(*load.taken.window, minutes) for minutes in load.taken.minutes
        )
    for (technician_id, day), own in together(asked.own, asked.held).items():
        if technician_id in diaries:
            diaries[technician_id].relieve(day, -own.minutes, -own.orders)
    await shares_of(session, seats, now)
    if asked.terminals:
        await read_vans(session, diaries, without=asked.without)
    whole_unit = await _whole_unit(session, asked, slots, reserve=reserve)
    return _Scene(seats[asked.grid_id], taken, whole_unit)


async def _whole_unit(
    session: AsyncSession, asked: Question, slots: Sequence[Slot], *, reserve: bool
) -> rules.Unit:
    """Read of the unit what the limits need, where there are any, and the reserve."""
    now, unit, last_day = asked.terms.now, asked.unit, slots[-1].day
    limits = await queries.limits(session, unit.path, first_day=slots[0].day, last_day=last_day)
    whole = rules.Unit(unit.path, unit.zone, now, (), (), {}, limits)
    if not limits and not reserve:
        return whole
    allowance = (await parameters_in_force(session)).number(rules.TRAVEL_ALLOWANCE, now, unit.path)
    taken = await queries.taken_of(
        session,
        unit.path,
        today=now.astimezone(unit.zone).date(),
        last_day=last_day,
        now=now,
        allowance=allowance,
        without=asked.without,
    )
    if not reserve:
        return whole._replace(taken=taken)
    return whole._replace(
        taken=taken,
        rosters=await queries.rosters(session, unit.path),
        absences=await queries.absences(
            session,
            unit.path,
            from_moment=now,
            until_moment=max(slot.ends for slot in slots) + timedelta(days=1),
        ),
    )


def _offer(asked: Question, slot: Slot, seen: _Sight) -> Offer:
    """Grade one slot, or say why it is not offered."""
    scene, grading = seen.scene, seen.grading
    due = asked.terms.due_at
    able = [seat for seat in scene.seats if asked.skills <= seat.diary.skills]
    room = rules.room_of(able, slot)
    close_by = any(
        rules.on_the_way(scene.taken.get((seat.diary.technician_id, slot.day), ()), slot)
        for seat in able
    )
    why = rules.why_not_then(slot, asked.terms) or _no_room(asked, slot, scene, seen.reserve)
    grade = rules.grade(room, slot, close_by=close_by, due_at=due, grading=grading)
    return Offer(
        slot,
        None if why else grade,
        why,
        room.minutes,
        room.free,
        close_by,
        rules.beyond(slot, due),
        None if why else min(slot.closes, seen.held_until),
    )


def _no_room(asked: Question, slot: Slot, scene: _Scene, reserve: float) -> NotOffered | None:
    why = rules.limit_reached(scene.unit, slot)
    if why is not None:
        return why
    ask = Ask(
        asked.minutes,
        asked.skills,
        (slot.begins, slot.ends),
        terminals=asked.terminals,
    )
    choice = rules.choose(ask, scene.seats, [slot.day])
    if choice.candidate is None:
        return rules.nobody(tried.why for tried in choice.tried if tried.why is not None)
    spared = asked.urgent or slot.code == NOW_SLOT
    if not spared and rules.reserve_reached(scene.unit, slot, reserve):
        return NotOffered.RESERVE_ONLY
    return None


# --- when one cannot be had -----------------------------------------------------------------------

# A refusal names so many others, looked for on so many local days.
ALTERNATIVES, ALTERNATIVE_DAYS = 3, 7
_GRADES = {grade: place for place, grade in enumerate(Grade)}


async def not_offered(
    session: AsyncSession, asked: Question, *, day: date, slot: str, why: NotOffered
) -> rules.SlotNotOffered:
    """Make the refusal of a slot, with the next best ones of the days from then on."""
    offers = await look(
        session, asked, first_day=day, last_day=day + timedelta(days=ALTERNATIVE_DAYS - 1)
    )
    best = sorted(
        (
            one
            for one in offers
            if one.grade is not None and (one.slot.day, one.slot.code) != (day, slot)
        ),
        key=lambda one: (_GRADES[one.grade or Grade.RED], one.slot.begins),
    )
    words = NOT_OFFERED_WORDS[why]
    return rules.SlotNotOffered(
        day=day,
        slot=slot,
        why=why,
        why_zh=words.zh,
        why_en=words.en,
        alternatives=_named(best[:ALTERNATIVES]),
    )


def _named(offers: Collection[Offer]) -> list[dict[str, Any]]:
    return [
        {
            "day": one.slot.day,
            "slot": one.slot.code,
            "begins_at": one.slot.begins,
            "ends_at": one.slot.ends,
            "grade": one.grade,
        }
        for one in offers
    ]
