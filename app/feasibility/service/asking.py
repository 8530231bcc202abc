"""Whether offerings can be sold and installed in a visit: all is read once for however many."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, at_door_of, technician_of
from app.catalog.queries import Offering, in_force
from app.catalog.rules import ON_SITE, OnSite
from app.core.db import Database
from app.core.errors import Invalid, Problem
from app.core.i18n import Words
from app.core.parameter_values import parameters_in_force
from app.dispatch.rules import Need, Offer, Wish
from app.dispatch.service.at_the_door import DoorDay, Spot, door_day
from app.dispatch.service.questions import question
from app.dispatch.service.slots import earliest
from app.feasibility import queries, rules
from app.feasibility.queries import FreeTerminal
from app.feasibility.rules import Answers, Feasible, Lacking, Person, Piece, Wanted
from app.real_name.queries import state_of
from app.serviceability.client import ServiceabilityClient
from app.serviceability.rules import LineAt
from app.serviceability.service import known, lines_at
from app.suggestions.service import Door, Line, MayHave, may_have
from app.visits import queries as visits
from app.visits.models import Visit
from app.visits.service.offers import door_of
from app.workorders import queries as workorders
from app.workorders import whereabouts
from app.workorders.models import WorkOrder
from app.worktypes.rules import WorkType


@dataclass(frozen=True)
class AtDoor:
    """A technician in a visit that goes on: whose door it is and where it lies, as far as known.

    Without a `spot` the order lies in no grid, and without an address nothing is known of its line.
    `on_terms` has the codes of what is sold on an approval code; None where nothing is sold yet.
    """

    visit: Visit
    order: WorkOrder
    door: Door
    spot: Spot | None
    address_id: UUID | None
    catalogue: Mapping[str, Offering]
    on_terms: Set[str] | None = None


async def at_door(
    session: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    now: datetime,
    *,
    without: UUID | None = None,
    on_terms: Set[str] | None = None,
) -> AtDoor:
    """Read at which door a technician stands, from setting out until the visit ends, as if one sale
    had not been made there: it does not stand in its own way. `on_terms` has what of it is sold on
    an approval code.

    Raises NotFound, VisitEnded and CustomerNotKnown.
    """
    visit = await visits.own(session, visit_id, technician_of(caller))
    door = await door_of(session, visit, caller, now, without=without)
    order = await session.get_one(WorkOrder, visit.work_order_id, populate_existing=True)
    address_id = await queries.address_of(
        session, door.customer_id, service_number=order.service_number, address=order.address
    )
    spot = None
    if order.grid_id is not None:
        units = await workorders.org_units(session, ids=[order.org_unit_id])
        place = (await whereabouts.of_orders(session, [order.id]))[order.id]
        point = None if place.lon is None or place.lat is None else (place.lon, place.lat)
        done = rules.done_minutes(
            order.estimated_minutes, visit.checked_in_at, visit.restored_at, now
        )
        held = await queries.holds_of_visit(session, visit_id)
        spot = Spot(order.grid_id, units.by_id[order.org_unit_id], point, done, held)
    catalogue = await in_force(session, now.astimezone(door.zone).date())
    return AtDoor(visit, order, door, spot, address_id, catalogue, on_terms)


def piece_of(offering: Offering, quantity: int = 1) -> Piece:
    """See an offering of the catalogue as the rules see it."""
    return Piece(
        offering.code,
        offering.business_type,
        offering.requires,
        offering.excludes,
        offering.speed_mbps,
        offering.skill,
        offering.terminal_kind,
        offering.install_minutes,
        quantity,
    )


def pieces_of(door: AtDoor, items: Collection[tuple[str, int]]) -> list[Piece]:
    """See what is wanted, codes and quantities, as the rules see it. Raises Invalid."""
    unknown = sorted({code for code, _ in items} - door.catalogue.keys())
    if unknown:
        message = f"not in the catalogue today: {', '.join(unknown)}"
        raise Invalid(errors=[{"field": "offering_code", "message": message}])
    return [piece_of(door.catalogue[code], quantity) for code, quantity in items]


def lacking(day: DoorDay | None, need: Need) -> Lacking | None:
    """Say what a technician lacks for some work; None where nothing is known of the day."""
    if day is None:
        return None
    return Lacking(
        day.lacks_skills(need),
        day.lacks_terminals(need),
        day.lacks_time(need),
        day.free_minutes,
    )


# --- the answer of the door -----------------------------------------------------------------------


async def answers(
    database: Database,
    client: ServiceabilityClient | None,
    visit_id: UUID,
    caller: Caller,
    codes: Collection[str] | None,
    *,
    now: datetime,
) -> Answers:
    """Say of offerings whether they can be sold and installed now; of all that may be sold at doors
    unless some are named by their codes.

    The system that knows the line is asked without a transaction, and briefly. Raises NotFound,
    VisitEnded, CustomerNotKnown, and Invalid for codes that are not in today's catalogue.
    """
    async with database.read() as read:
        door = await at_door(read, visit_id, caller, now)
    if codes is None:
        codes = [
            one.code
            for one in door.catalogue.values()
            if ON_SITE[one.business_type] is not OnSite.LEAD_ONLY
        ]
    pieces = pieces_of(door, [(code, 1) for code in dict.fromkeys(codes)])
    line = None
    if door.address_id is not None:
        lines = await lines_at(
            database, client, [door.address_id], org_path=caller.org_path, now=now
        )
        line = lines.get(door.address_id)
    async with database.read() as read:
        return await _answered(read, door, pieces, line, caller, now)


async def _answered(
    session: AsyncSession,
    door: AtDoor,
    pieces: Sequence[Piece],
    line: LineAt | None,
    caller: Caller,
    now: datetime,
) -> Answers:
    technician_id = door.visit.technician_id
    may = await gates(session, door, pieces, line, now)
    person = await person_of(session, door.door.customer_id, caller.org_path, now)
    # What this visit has reserved is there for whatever is sold in it.
    held = await queries.held_in(session, door.visit.id, now)
    day = None
    if door.spot is not None:
        day = await door_day(session, technician_id, door.spot, now=now, without=held)
    kinds = {kind for piece in pieces if piece.need for kind in piece.need.terminals}
    free = await queries.free_terminals(
        session, technician_id, kinds, now=now, without=None if held is None else held.id
    )
    noes = {
        piece.code: [
            *rules.against_sale(
                piece,
                may.against[piece.code],
                may.on_site[piece.code],
                may.facts[piece.code],
                line,
                person,
            ),
            *(rules.against_install(piece.need, lacking(day, piece.need)) if piece.need else ()),
        ]
        for piece in pieces
    }
    later = {
        piece.need
        for piece in pieces
        if piece.need and noes[piece.code] and rules.sellable(noes[piece.code])
    }
    best = await next_best(session, door, later, caller, now)
    return Answers(
        door.visit.id,
        now,
        line,
        None if day is None else day.free_minutes,
        [
            Feasible(
                piece.code,
                Words(door.catalogue[piece.code].name_zh, door.catalogue[piece.code].name_en),
                piece.speed_mbps,
                piece.need,
                noes[piece.code],
                serials(free, piece.need),
                best.get(piece.need) if noes[piece.code] and piece.need else None,
            )
            for piece in pieces
        ],
    )


# So many serial numbers of one offering are enough to find a box in a van.
MOST_SERIALS = 10


def serials(free: Sequence[FreeTerminal], need: Need | None) -> list[str]:
    """List what a van has for some work, by serial numbers."""
    if need is None:
        return []
    return [one.serial_number for one in free if one.kind in need.terminals][:MOST_SERIALS]


async def gates(
    session: AsyncSession,
    door: AtDoor,
    pieces: Sequence[Piece],
    line: LineAt | None,
    now: datetime,
    *,
    together: bool = False,
) -> MayHave:
    """Ask the suggestions' gates about what is wanted, each for itself or all of it together, with
    what is known of the line now."""
    offerings = [door.catalogue[piece.code] for piece in pieces]
    return await may_have(
        session,
        door.door,
        offerings,
        told_of(line),
        now=now,
        together=together,
        on_terms=door.on_terms,
    )


def told_of(line: LineAt | None) -> Line:
    """See what is known of a line as the gates see it."""
    return Line(None, None) if line is None else Line(line.max_speed_mbps, line.port_free)


async def person_of(
    session: AsyncSession, customer_id: UUID, org_path: str, now: datetime
) -> Person:
    """Read what is known of a customer's real name, and what the operator wants of it."""
    numbers = await parameters_in_force(session)
    wanted = Wanted(numbers.whole(rules.REAL_NAME_WANTED, now, org_path))
    return Person(await state_of(session, customer_id), now, wanted)


async def line_known(
    session: AsyncSession, address_id: UUID | None, org_path: str, now: datetime
) -> LineAt | None:
    """Say what is known of the line to a door's address, if any, without asking anybody."""
    if address_id is None:
        return None
    return (await known(session, [address_id], org_path=org_path, now=now)).get(address_id)


async def next_best(
    session: AsyncSession, door: AtDoor, needs: Collection[Need], caller: Caller, now: datetime
) -> dict[Need, Offer | None]:
    """Find for each kind of work the next slot at the door that somebody can keep."""
    spot = door.spot
    if spot is None or not needs:
        return {}
    days = (await parameters_in_force(session)).whole(rules.NEXT_DAYS, now, spot.unit.path)
    wish = Wish(
        grid_id=spot.grid_id, point=spot.point, work_type=WorkType.INSTALL, later_agreed=True
    )
    today = now.astimezone(spot.unit.zone).date()
    ordered = sorted(needs, key=lambda need: (need.minutes, sorted(need.skills), need.terminals))
    try:
        asked = await question(session, wish, at_door_of(caller, spot.unit.path), now=now)
        found = await earliest(
            session, asked, ordered, first_day=today, last_day=today + timedelta(days=days - 1)
        )
    except Problem:
        # A place that no grid covers any more, or a unit without slots: there is no time to name.
        return {}
    return dict(zip(ordered, found, strict=True))


def named(offer: Offer | None) -> dict[str, Any] | None:
    """Write a slot as the facts of a refusal have it."""
    if offer is None:
        return None
    slot = offer.slot
    return {
        "day": slot.day,
        "slot": slot.code,
        "begins_at": slot.begins,
        "ends_at": slot.ends,
        "grade": offer.grade,
    }
