"""Taking orders in and placing them at once, in one transaction."""

from collections.abc import Collection, Sequence
from datetime import datetime

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.dispatch import rules
from app.dispatch.rules import Ask, Outcome, Verdict
from app.dispatch.rules.repeats import Repeat
from app.dispatch.service import standins
from app.dispatch.service.appointments import Held, all_reserved, use_holds, with_holds
from app.dispatch.service.decisions import Decided, write_decisions
from app.dispatch.service.people import Asked
from app.dispatch.service.placing import ATTEMPTS, FilledMeanwhile, choose_all
from app.dispatch.service.repeats import repeats_of
from app.dispatch.service.urgent import displacing, give_way
from app.grids import locating
from app.grids.locating import GridIndex
from app.grids.rules import NEAR_BORDER, district_of
from app.outages.queries.open import open_now
from app.technicians import availability
from app.workorders import queries as workorders
from app.workorders import whereabouts
from app.workorders.rules import Draft, Sender, State, Step, UnplacedReason
from app.workorders.service.intake import Incoming, settle, sort_out, write
from app.worktypes.rules import WorkType


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
        held = await with_holds(tx, fates, sender, now=now)
        orders = [fate.incoming for fate in fates if fate.incoming is not None]
        if not orders:
            break
        placed = False
        try:
            async with tx.begin_nested():
                decided = (
                    await _place(tx, orders, sender, held, now=now, locking=locking)
                    if place
                    else []
                )
                placed = True
                await settle(tx, [order for order in orders if not order.minutes])
                await write(tx, orders, sender)
                await use_holds(tx, held, now=now)
                if not place:
                    await availability.change(tx, all_reserved(held.values()))
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
    held: Held,
    *,
    now: datetime,
    locking: bool,
) -> list[Decided]:
    """Find each order's grid and holder, and let it take its steps. Raises FilledMeanwhile."""
    # The map comes first: whoever changes it may want rows that are locked below.
    index = await locating.for_keeps(tx)
    parameters = await parameters_in_force(tx)
    flagged, relieved = await standins.look_out(
        tx,
        _localities(orders),
        limit=parameters.whole(rules.STAND_IN_LOCALITIES, now),
        now=now,
    )
    near_m = parameters.number(NEAR_BORDER, now, sender.org_path)
    await _locate(tx, index, orders, flagged, sender, near_m)
    await _join_outages(tx, orders)
    decided: list[Decided] = []
    located: list[Incoming] = []
    for order in orders:
        order.tried_at = now
        point = _point(order)
        if order.outage_id is not None:
            decided.append(_unplaced(order, UnplacedReason.OUTAGE))
        elif order.grid_id is not None:
            located.append(order)
        elif point is None:
            decided.append(_unplaced(order, UnplacedReason.NO_POINT))
        elif point in flagged:
            decided.append(_unplaced(order, UnplacedReason.SHARED_POINT))
        else:
            decided.append(_unplaced(order, UnplacedReason.NO_GRID))
    await settle(tx, orders)
    repeats = await repeats_of(
        tx,
        {
            order.id: (order.before.technician_id, order.unit.path)
            for order in located
            if order.before is not None and order.before.technician_id is not None
        },
        now=now,
    )
    asked = [_asked(order, held, repeats.get(order.id)) for order in located]
    choices = await choose_all(
        tx,
        asked,
        now=now,
        relieved=relieved,
        freed=all_reserved(held.values()),
        without=[one.id for one in held.values()],
        locking=locking,
    )
    for order, choice in zip(located, choices, strict=True):
        if choice.candidate is None:
            decided.append(_unplaced(order, choice.unplaced, choice))
            continue
        order.holder_id, order.planned_day = choice.candidate.technician_id, choice.day
        reason = choice.candidate.kind.value
        order.step(
            Step.ASSIGN,
            reason=reason,
            facts={
                "technician_id": order.holder_id,
                "planned_day": choice.day,
                **displacing(choice),
            },
        )
        decided.append(Decided(order.id, order.grid_id, choice, reason))
    named = {order.id: choice for order, choice in zip(located, choices, strict=True)}
    decided += await give_way(tx, named, now=now, account_id=sender.account_id)
    return decided


async def _join_outages(tx: AsyncSession, orders: Sequence[Incoming]) -> None:
    """Let new reports from a place whose outage is confirmed belong to it. While there is none, and
    for whoever reports from elsewhere, it costs no statement."""
    outages = await open_now(tx)
    if not outages:
        return
    for order in orders:
        if order.draft.work_type is not WorkType.REPAIR:
            continue
        for outage in outages:
            if outage.has(
                grid_id=order.grid_id,
                district_path=district_of(order.unit.path),
                locality=order.draft.locality,
                customer_id=order.customer_id,
                service_number=order.draft.service_number,
            ):
                order.outage_id = outage.id
                break


def _localities(orders: Sequence[Incoming]) -> dict[rules.PointKey, set[str]]:
    named: dict[rules.PointKey, set[str]] = {}
    for order in orders:
        draft = order.draft
        if draft.lon is not None and draft.lat is not None:
            places = named.setdefault(rules.key_of(draft.lon, draft.lat), set())
            if draft.locality:
                places.add(draft.locality.casefold())
    return named


def _point(order: Incoming) -> rules.PointKey | None:
    lon, lat = order.draft.lon, order.draft.lat
    return None if lon is None or lat is None else rules.key_of(lon, lat)


async def _locate(
    tx: AsyncSession,
    index: GridIndex,
    orders: Sequence[Incoming],
    flagged: Collection[rules.PointKey],
    sender: Sender,
    near_m: float,
) -> None:
    """Find the grid of each order, which now belongs to the grid's org unit.

    One without a point, or with one that is not to be trusted, has a grid if a list names it.
    """
    places = [order.whereabouts for order in orders]
    points = [
        (place.lon, place.lat) if _point(order) not in flagged else (None, None)
        for order, place in zip(orders, places, strict=True)
    ]
    found = index.locate(
        *zip(*points, strict=True),
        near_m=near_m,
        where=await whereabouts.as_listed(tx, index.lists, places) if index.lists else None,
    ).places()
    grids = {place.grid_id: index.territory(place.grid_id) for place in found if place.grid_id}
    units = await workorders.org_units(tx, ids={grid.org_unit_id for grid in grids.values()})
    for order, place in zip(orders, found, strict=True):
        if place.grid_id is None:
            continue
        unit = units.by_id[grids[place.grid_id].org_unit_id]
        if not unit.path.startswith(sender.org_path):
            continue
        order.grid_id, order.near_border, order.unit = place.grid_id, place.near_border, unit
        order.grid_kind = grids[place.grid_id].kind
        order.step(Step.LOCATE, facts=place.facts())


def _asked(order: Incoming, held: Held, repeat: Repeat | None) -> Asked:
    draft = order.draft
    assert order.grid_id is not None
    window = (
        (draft.appointment_from, draft.appointment_until)
        if draft.appointment_from and draft.appointment_until
        else None
    )
    ask = Ask(
        order.minutes,
        frozenset(draft.skills),
        window,
        order.due_at,
        priority=draft.priority,
        terminals=draft.terminals,
        repeat=repeat,
    )
    prefer = (held[order.id].technician_id,) if order.id in held else ()
    point = None if draft.lon is None or draft.lat is None else (draft.lon, draft.lat)
    return Asked(ask, order.grid_id, order.unit, prefer, order_id=order.id, point=point)


def _unplaced(
    order: Incoming, reason: UnplacedReason | None, choice: rules.Choice | None = None
) -> Decided:
    assert reason is not None
    order.unplaced_reason = reason
    order.step(Step.UNPLACE, reason=reason.value)
    return Decided(order.id, order.grid_id, choice, reason.value)
