"""What a technician who stands at a door can still do today: looked at, held, and taken in.

Work that is sold at the door begins this moment, in the slot `now`, and is done by whoever is
there. It fits into their day by the rules of placing, so that no promise of the day is broken; the
day is locked while their minutes are given, as with every hold.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import (
    AT_THE_DOOR,
    NOW_SLOT,
    Ask,
    Candidate,
    Choice,
    Diary,
    HoldState,
    Kind,
    Need,
    NotOffered,
    PassedOver,
    Seat,
    Tried,
)
from app.dispatch.service.appointments import use_holds
from app.dispatch.service.by_hand import find_place
from app.dispatch.service.decisions import Decided, write_decisions
from app.dispatch.service.moving import people_of_days
from app.dispatch.service.people import Asked, diaries_of, read_days, read_vans
from app.grids import locating
from app.grids.rules import GridKind
from app.technicians import availability
from app.technicians.availability import Promised
from app.travel.rules import Place
from app.workorders.queries import Unit
from app.workorders.rules import Draft, Sender, Step
from app.workorders.service.intake import settle, sort_out, write
from app.worktypes.rules import WorkType


@dataclass(frozen=True, slots=True)
class Spot:
    """Where somebody stands: the grid, its org unit, and the point in WGS-84 degrees.

    `done_minutes` are those of the work at this door that are behind them; None before they have
    arrived. `held_here` are holds for work at this very door.
    """

    grid_id: UUID
    unit: Unit
    point: tuple[float, float] | None
    done_minutes: int | None = None
    held_here: Collection[UUID] = ()


@dataclass(frozen=True, slots=True)
class DoorDay:
    """What somebody at a door has left of their local day; `within` are the minutes in which work
    that is sold there has to be done."""

    spot: Spot
    seat: Seat
    kinds: Mapping[UUID, GridKind]
    now: datetime
    within: float

    @property
    def diary(self) -> Diary:
        """Their diary."""
        return self.seat.diary

    @property
    def free_minutes(self) -> float:
        """The minutes of work that the day still has room for, the way to it not counted."""
        plan = self.seat.plan(self.diary.today)
        return 0.0 if plan.away else max(plan.left - self.diary.allowance, 0.0)

    def lacks_skills(self, need: Need) -> list[str]:
        """List the skills that the work needs and they do not have."""
        return sorted(need.skills - self.diary.skills)

    def lacks_terminals(self, need: Need) -> list[str]:
        """List the kinds of which the van has not enough beside what is promised of it."""
        kinds = dict.fromkeys(need.terminals)
        return [
            kind
            for kind in kinds
            if not self.diary.van.holds([one for one in need.terminals if one == kind])
        ]

    def lacks_time(self, need: Need) -> PassedOver | NotOffered | None:
        """Say why there is no time for it without breaking what is promised; None when there is."""
        ends = self.now + timedelta(minutes=self.within - need.minutes)
        if ends <= self.now:
            return NotOffered.TOO_LONG_FOR_NOW
        today = self.diary.today
        if not self.diary.active:
            return PassedOver.INACTIVE
        ask = Ask(need.minutes, window=(self.now, ends))
        why = rules.why_not_on(ask, self.seat, today)
        if why is None:
            one = Asked(ask, self.spot.grid_id, self.spot.unit, point=self.spot.point)
            if self.seat.cost(one.visit(self.kinds), today) is None:
                why = PassedOver.WINDOW_TAKEN
        return why


async def door_day(
    session: AsyncSession,
    technician_id: UUID,
    spot: Spot,
    *,
    now: datetime,
    without: AppointmentHold | None = None,
) -> DoorDay:
    """Look at what a technician at a door has left of today; nothing is locked. One hold of theirs
    may be left out, as if it were given free."""
    diaries = await diaries_of(session, [technician_id], now=now, until=now + timedelta(days=2))
    diary = diaries[technician_id]
    left_out = [] if without is None else [without.id]
    kinds, over = await read_days(
        session, diaries, {diary.today}, now=now, without=left_out, grid_ids=[spot.grid_id]
    )
    if over:
        # Holds whose time is over never count, also before somebody has ended them.
        for load in await queries.loads(
            session, over, grid_id=spot.grid_id, last_day=diary.today, now=now
        ):
            diary.relieve(load.day, -load.over.minutes, -load.over.orders)
    if spot.point is not None and spot.held_here:
        # A hold does not say where it is for; there is no way to what is done where one is.
        here = Place(*spot.point, spot.grid_id, kinds.get(spot.grid_id))
        diary.visits[diary.today] = [
            stop._replace(place=here) if stop.order_id in spot.held_here else stop
            for stop in diary.visits.get(diary.today, ())
        ]
    if spot.done_minutes is not None:
        # Their day still counts the whole order that they are at, and the way to it.
        diary.relieve(diary.today, -spot.done_minutes, -1)
    if without is not None:
        diary.relieve(without.day, -without.reserved_minutes, -without.reserved_orders)
    await read_vans(session, diaries, without=left_out)
    within = (await parameters_in_force(session)).number(
        rules.ACTIVATION_MINUTES, now, spot.unit.path
    )
    candidate = Candidate(technician_id, Kind.OTHER, 1, 0.0)
    seat = Seat(candidate, diary, None, diary.terms, spot.unit.path)
    return DoorDay(spot, seat, kinds, now, within)


async def locked_door_day(
    tx: AsyncSession, technician_id: UUID, spot: Spot, *, now: datetime
) -> DoorDay:
    """The same, with the day and the van locked until the transaction ends: what is left is left
    for this transaction alone. Holds of the day whose time is over are ended."""
    diaries = await diaries_of(tx, [technician_id], now=now, until=now + timedelta(days=2))
    today = diaries[technician_id].today
    await availability.lock(tx, [(technician_id, today)])
    relieved = await queries.end_expired(tx, now=now, technician_ids=[technician_id], days=[today])
    await availability.change(tx, relieved)
    await queries.take_from_vans(tx, [technician_id])
    return await door_day(tx, technician_id, spot, now=now)


async def hold_now(
    tx: AsyncSession,
    day: DoorDay,
    need: Need,
    *,
    hold_id: UUID,
    content_hash: str,
    until: datetime,
    account_id: UUID,
) -> AppointmentHold:
    """Hold the slot `now` of a locked day, with one terminal of each kind that is needed.

    The caller has looked whether the day has room for it.
    """
    diary, today = day.diary, day.diary.today
    held = AppointmentHold(
        id=hold_id,
        org_unit_id=day.spot.unit.id,
        grid_id=day.spot.grid_id,
        technician_id=diary.technician_id,
        state=HoldState.HELD,
        content_hash=content_hash,
        work_type=WorkType.INSTALL,
        urgent=False,
        minutes=need.minutes,
        skills=sorted(need.skills),
        terminals=list(need.terminals),
        slot=NOW_SLOT,
        day=today,
        begins_at=day.now,
        ends_at=day.now + timedelta(minutes=day.within - need.minutes),
        reserved_minutes=need.minutes,
        reserved_orders=1,
        held_at=day.now,
        expires_at=until,
        account_id=account_id,
    )
    tx.add(held)
    await tx.flush()
    await availability.change(tx, {(diary.technician_id, today): Promised(need.minutes, 1)})
    return held


async def take_in_now(
    tx: AsyncSession,
    draft: Draft,
    sender: Sender,
    held: AppointmentHold,
    caller: Caller,
    *,
    near_border: bool,
    now: datetime,
) -> UUID:
    """Take in an order in place of a hold made by `hold_now`: held, taken on and next to be done by
    whoever the hold is of. The hold is locked by the caller, and its day here.

    The same draft again gives the same order. Raises what intake refuses.
    """
    await availability.lock(tx, [(held.technician_id, held.day)])
    [fate] = await sort_out(tx, [draft], sender, now=now)
    if fate.problem is not None:
        raise fate.problem
    order = fate.incoming
    if order is None:
        assert fate.known_id is not None
        return fate.known_id
    grid = (await locating.for_reading(tx)).find(held.grid_id)
    order.grid_id, order.near_border = held.grid_id, near_border
    order.grid_kind = None if grid is None else grid.kind
    order.keep_appointment(held.begins_at, held.ends_at, held.minutes)
    order.step(Step.LOCATE, facts={"grid_id": str(held.grid_id)})
    await settle(tx, [order])
    order.tried_at = now
    order.holder_id, order.planned_day = held.technician_id, held.day
    facts = {"technician_id": str(held.technician_id), "planned_day": str(held.day)}
    order.step(Step.ASSIGN, reason=AT_THE_DOOR, facts=facts)
    order.step(Step.ACKNOWLEDGE)
    await write(tx, [order], sender)
    # The day's minutes stay what they are: the order takes the hold's.
    await use_holds(tx, {order.id: held}, now=now)
    candidate = Candidate(held.technician_id, Kind.OTHER, 1, 0.0)
    choice = Choice(candidate, held.day, None, [Tried(candidate, None)], 0)
    await write_decisions(
        tx,
        [Decided(order.id, order.grid_id, choice, AT_THE_DOOR)],
        at=now,
        account_id=sender.account_id,
    )
    people = await people_of_days(tx, [held.technician_id], caller, now)
    await find_place(tx, people[held.technician_id], held.day, now)
    return order.id
