"""Whose lesser work gives way to an urgent order that nobody has room for today."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.dispatch.rules.insertion import Line
from app.dispatch.rules.placing import Ask, Cost, Seat, why_not_at_all
from app.dispatch.rules.routes import NEVER, Stop
from app.dispatch.rules.windows import Booked, kept_together, reachable
from app.workorders.rules import State

MOST_URGENT = 1

DISPLACES_WORDS = Words(
    zh="当天无人可派，挤占了次要工单的位置", en="nobody had room that day; lesser work gave way"
)
DISPLACED_WORDS = Words(
    zh="为当天无人可派的紧急工单让位", en="gave way to an urgent order that nobody had room for"
)


class GivesWay(NamedTuple):
    """A visit that gives way, to whom the urgent order goes, what that costs, and the day then."""

    seat: Seat
    visit: Stop
    cost: Cost
    rest: Line


def may_give_way(visit: Stop, priority: int) -> bool:
    """Tell whether a visit may give way to an order of a priority: what is begun, pinned, booked
    or as urgent does not."""
    return (
        visit.state in (State.ASSIGNED, State.ACKNOWLEDGED)
        and not visit.pinned
        and (visit.opens, visit.closes) == (0, NEVER)
        and visit.priority > priority
    )


def who_gives_way(
    ask: Ask, seats: Sequence[Seat], day: date, urgent: Stop, staying: AbstractSet[UUID]
) -> GivesWay | None:
    """Choose the visit whose giving way costs least: the least urgent, since nobody knows yet where
    it goes, and of those the one in whose stead the order costs least. `staying` are left alone.
    """
    best: tuple[int, GivesWay] | None = None
    for seat in seats:
        line, terms, plan = seat.diary.line(day), seat.terms, seat.plan(day)
        if line is None or terms is None or plan.away is not None:
            continue
        if why_not_at_all(ask, seat.diary) is not None or not _has_time(ask, seat, day):
            continue
        needed = ask.minutes + seat.diary.allowance - plan.left
        for visit in line.stops:
            if visit.order_id in staying or not may_give_way(visit, ask.priority):
                continue
            if visit.seconds / 60 + seat.diary.allowance < needed:
                continue
            if ask.terminals and not seat.diary.van.holds(ask.terminals, visit.order_id):
                continue
            price = seat.owned + terms.unplaced[visit.priority - 1]
            if best is not None and price >= best[0]:
                continue
            rest = line.without(visit)
            spot = rest.spot(urgent)
            if spot is not None and (best is None or price + spot.cost < best[0]):
                cost = Cost(spot.travel, seat.owned, spot.late, 0, spot.at)
                best = price + spot.cost, GivesWay(seat, visit, cost, rest)
    return best[1] if best else None


def _has_time(ask: Ask, seat: Seat, day: date) -> bool:
    """Tell whether appointments and the grid's share of the day leave room for the order."""
    plan, allowance = seat.plan(day), seat.diary.allowance
    if seat.share_left(day) < ask.minutes + allowance:
        return False
    if ask.window is None:
        return True
    booked = [*seat.diary.windows.get(day, ()), Booked(*ask.window, ask.minutes)]
    return reachable(ask.window, ask.minutes, plan.at_work) and kept_together(
        booked, plan.at_work, allowance
    )
