"""Taking orders in and placing them at once, in one transaction."""

from collections.abc import Sequence
from datetime import datetime

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.dispatch import rules
from app.dispatch.rules import Ask, Outcome, Verdict
from app.dispatch.service import standins
from app.dispatch.service.placing import (
    Asked,
    Decided,
    FilledMeanwhile,
    choose_all,
    write_decisions,
)
from app.grids import queries as grids
from app.grids.rules import NEAR_BORDER
from app.workorders import queries as workorders
from app.workorders.rules import Draft, Sender, State, Step, UnplacedReason
from app.workorders.service.intake import Incoming, settle, sort_out, write

# How often a transaction begins again at most: others filled a day, or took in the same orders.
ATTEMPTS = 5


async def take_in(
    tx: AsyncSession, drafts: Sequence[Draft], sender: Sender, *, now: datetime
) -> list[Outcome]:
    """Take orders in and place them; the verdicts come in the order of the drafts.

    If placing fails for a reason that nobody foresaw, the orders are taken in all the same and
    wait for the periodic job. The sender's subtree bounds where an order can go.
    """
    place, locking = True, False
    for attempt in range(1, ATTEMPTS + 1):
        fates = await sort_out(tx, drafts, sender, now=now)
        orders = [fate.incoming for fate in fates if fate.incoming is not None]
        if not orders:
            break
        placed = False
        try:
            async with tx.begin_nested():
                decided = (
                    await _place(tx, orders, sender, now=now, locking=locking) if place else []
                )
                placed = True
                await settle(tx, [order for order in orders if not order.minutes])
                await write(tx, orders, sender)
                await write_decisions(tx, decided, at=now, account_id=sender.account_id)
            break
        except (FilledMeanwhile, psycopg.errors.UniqueViolation) as error:
            if attempt == ATTEMPTS:
                raise
            log.info("intake begins again", attempt=attempt, cause=type(error).__name__)
            locking = True
        except psycopg.OperationalError:
            raise
        except Exception:
            if placed:
                raise
            log.exception("placing failed, orders are taken in and wait", orders=len(orders))
            place = False
    return [
        Outcome(Verdict.REFUSED, problem=fate.problem)
        if fate.problem is not None
        else Outcome(Verdict.DUPLICATE, fate.known_id)
        if fate.incoming is None
        else _outcome(fate.incoming)
        for fate in fates
    ]


def _outcome(order: Incoming) -> Outcome:
    if order.state is State.ASSIGNED:
        return Outcome(Verdict.PLACED, order.id)
    if order.state is State.UNPLACED:
        return Outcome(Verdict.UNPLACED, order.id, order.unplaced_reason)
    return Outcome(Verdict.WAITING, order.id)


async def _place(
    tx: AsyncSession,
    orders: Sequence[Incoming],
    sender: Sender,
    *,
    now: datetime,
    locking: bool,
) -> list[Decided]:
    """Find each order's grid and holder, and let it take its steps. Raises FilledMeanwhile."""
    parameters = await parameters_in_force(tx)
    flagged, relieved = await standins.look_out(
        tx,
        _localities(orders),
        limit=parameters.whole(rules.STAND_IN_LOCALITIES, now),
        now=now,
    )
    decided: list[Decided] = []
    located: list[Incoming] = []
    for order in orders:
        order.tried_at = now
        lon, lat = order.draft.lon, order.draft.lat
        if lon is None or lat is None:
            decided.append(_unplaced(order, UnplacedReason.NO_POINT))
        elif rules.key_of(lon, lat) in flagged:
            decided.append(_unplaced(order, UnplacedReason.SHARED_POINT))
        else:
            located.append(order)
    near_m = parameters.number(NEAR_BORDER, now, sender.org_path)
    await _locate(tx, located, sender, near_m)
    decided += [
        _unplaced(order, UnplacedReason.NO_GRID) for order in located if order.grid_id is None
    ]
    located = [order for order in located if order.grid_id is not None]
    await settle(tx, orders)
    asked = [_asked(order) for order in located]
    choices = await choose_all(tx, asked, now=now, relieved=relieved, locking=locking)
    for order, choice in zip(located, choices, strict=True):
        if choice.candidate is None:
            decided.append(_unplaced(order, choice.unplaced, choice))
            continue
        order.holder_id, order.planned_day = choice.candidate.technician_id, choice.day
        reason = choice.candidate.kind.value
        order.step(
            Step.ASSIGN,
            reason=reason,
            facts={"technician_id": order.holder_id, "planned_day": choice.day},
        )
        decided.append(Decided(order.id, order.grid_id, choice, reason))
    return decided


def _localities(orders: Sequence[Incoming]) -> dict[rules.PointKey, set[str]]:
    named: dict[rules.PointKey, set[str]] = {}
    for order in orders:
        draft = order.draft
        if draft.lon is not None and draft.lat is not None:
            places = named.setdefault(rules.key_of(draft.lon, draft.lat), set())
            if draft.locality:
                places.add(draft.locality.casefold())
    return named


async def _locate(
    tx: AsyncSession, orders: Sequence[Incoming], sender: Sender, near_m: float
) -> None:
    """Find the grid of each order's point; it now belongs to the grid's org unit."""
    points = list(
        dict.fromkeys((order.draft.lon or 0.0, order.draft.lat or 0.0) for order in orders)
    )
    if not points:
        return
    found = await grids.locate_many(
        tx, [lon for lon, _ in points], [lat for _, lat in points], near_m=near_m
    )
    where = dict(zip(points, found, strict=True))
    known = await grids.territories(tx, {one.grid_id for one in found if one.grid_id})
    units = await workorders.org_units(tx, ids={grid.org_unit_id for grid in known.values()})
    for order in orders:
        place = where[order.draft.lon or 0.0, order.draft.lat or 0.0]
        if place.grid_id is None:
            continue
        unit = units.by_id[known[place.grid_id].org_unit_id]
        if not unit.path.startswith(sender.org_path):
            continue
        order.grid_id, order.near_border, order.unit = place.grid_id, place.near_border, unit
        facts = {"grid_id": place.grid_id}
        order.step(
            Step.LOCATE, facts={**facts, "near_border": True} if place.near_border else facts
        )


def _asked(order: Incoming) -> Asked:
    draft = order.draft
    assert order.grid_id is not None
    window = (
        (draft.appointment_from, draft.appointment_until)
        if draft.appointment_from and draft.appointment_until
        else None
    )
    ask = Ask(order.minutes, frozenset(draft.skills), window, order.due_at)
    return Asked(ask, order.grid_id, order.unit)


def _unplaced(
    order: Incoming, reason: UnplacedReason | None, choice: rules.Choice | None = None
) -> Decided:
    assert reason is not None
    order.unplaced_reason = reason
    order.step(Step.UNPLACE, reason=reason.value)
    return Decided(order.id, order.grid_id, choice, reason.value)
