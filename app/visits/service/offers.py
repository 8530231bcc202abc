"""What may be offered in a visit or ahead of it: the room of suggestions decides, this room says at
which doors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.catalog.queries import Offering
from app.customers.models import Interaction
from app.dispatch.service.own_day import own_day
from app.outages.queries.open import Open, open_now
from app.outages.rules import Place, PlaceKind
from app.suggestions.models import Prospect, SalesLead
from app.suggestions.rules.answering import said_at
from app.suggestions.rules.prospects import Noted
from app.suggestions.service import (
    Decided,
    Door,
    note_prospect,
    suggest,
    suggest_ahead,
    take_down_reminder,
)
from app.visits import queries, rules
from app.visits.models import Visit
from app.visits.queries.doors import DoorRow
from app.visits.queries.installs import note_installs
from app.visits.rules.installing import Hands, InstallNow, ToInstall, install_now
from app.workorders.models import WorkOrder
from app.workorders.rules import HELD, State

# Older orders of the customer say nothing about today.
LOOKING_BACK = timedelta(days=365)


@dataclass(frozen=True)
class AtTheDoor:
    """What was decided, and what can be installed in this visit, by the offering's code."""

    decided: Decided
    installs: Mapping[str, InstallNow]


@dataclass(frozen=True)
class Ahead:
    """What was decided for the doors of a local day, in the order they are to be come to."""

    day: date
    doors: Sequence[AtTheDoor]


async def suggestions_for(
    tx: AsyncSession, visit_id: UUID, caller: Caller, now: datetime
) -> AtTheDoor:
    """Decide what to offer in a technician's own visit, from setting out until it ends.

    Raises NotFound, VisitEnded, and CustomerNotKnown when the order names no customer.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    decided = await suggest(tx, await door_of(tx, visit, caller, now), now)
    return (await _at_doors(tx, [decided], caller, now))[0]


async def door_of(
    session: AsyncSession,
    visit: Visit,
    caller: Caller,
    now: datetime,
    *,
    without: UUID | None = None,
) -> Door:
    """Say at which door a technician stands in their own visit, from setting out until it ends, as
    if one sale had not been made in it.

    Raises VisitEnded, and CustomerNotKnown when the order names no customer.
    """
    row = await queries.door_of(
        session, visit.work_order_id, visit.id, now - LOOKING_BACK, without=without
    )
    if visit.ended_at is not None or row.state not in HELD:
        raise rules.VisitEnded(
            ended_at=visit.ended_at or row.completed_at, outcome=visit.outcome or State(row.state)
        )
    if row.customer_id is None:
        raise rules.CustomerNotKnown()
    return await _door_in(session, visit, row, row.customer_id, caller.org_path)


async def door_behind(
    session: AsyncSession, visit: Visit, customer_id: UUID, *, org_path: str, now: datetime
) -> Door:
    """Say at which door a visit is or was, also after it has ended: what was sold in it may come
    late. `customer_id` is whose door it is."""
    row = await queries.door_of(session, visit.work_order_id, visit.id, now - LOOKING_BACK)
    return await _door_in(session, visit, row, customer_id, org_path)


async def _door_in(
    session: AsyncSession, visit: Visit, row: DoorRow, customer_id: UUID, org_path: str
) -> Door:
    return await _door(
        session,
        row,
        customer_id,
        visit.technician_id,
        org_path,
        await open_now(session),
        visit_id=visit.id,
        began_at=visit.travel_started_at,
        restored=visit.restored_at is not None,
    )


async def reminded(
    tx: AsyncSession,
    visit_id: UUID,
    contact_id: UUID,
    caller: Caller,
    *,
    device_at: datetime,
    now: datetime,
) -> Interaction:
    """Write down that the customer of a technician's own visit was reminded of what they owe.

    It may arrive after the visit. Raises NotFound, CustomerNotKnown, NothingOwed and
    SameIdOtherContent.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    order = await tx.get_one(WorkOrder, visit.work_order_id)
    if order.customer_id is None:
        raise rules.CustomerNotKnown()
    return await take_down_reminder(
        tx,
        contact_id,
        customer_id=order.customer_id,
        work_order_id=order.id,
        technician_id=technician_of(caller),
        at=said_at(device_at, visit.travel_started_at, now),
    )


async def prospect_noted(
    tx: AsyncSession, visit_id: UUID, noted: Noted, caller: Caller, *, now: datetime
) -> tuple[SalesLead, Prospect]:
    """Note somebody who is no customer and was met in a technician's own visit, as a lead.

    It may arrive after the visit. Raises NotFound, and what `note_prospect` raises.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    order = await tx.get_one(WorkOrder, visit.work_order_id)
    return await note_prospect(
        tx,
        noted,
        visit_id=visit.id,
        org_unit_id=order.org_unit_id,
        grid_id=order.grid_id,
        technician_id=visit.technician_id,
        at=said_at(noted.device_at, visit.travel_started_at, now),
        now=now,
    )


async def suggestions_ahead(tx: AsyncSession, caller: Caller, now: datetime) -> Ahead:
    """Decide what to offer at the doors a technician has still to come to today, so that a phone
    without network can show it there.

    Doors whose order names no customer are left out. Raises Forbidden for an account that is
    nobody's.
    """
    technician_id = technician_of(caller)
    today = now.astimezone(await queries.zone_of_unit(tx, caller.org_unit_id)).date()
    rows = await queries.doors_to_come(tx, technician_id, today, now - LOOKING_BACK)
    outages = await open_now(tx)
    doors = [
        await _door(
            tx,
            row,
            row.customer_id,
            technician_id,
            caller.org_path,
            outages,
            visit_id=None,
            began_at=now,
            restored=True,
        )
        for row in sorted(rows, key=_place)
        if row.customer_id is not None
    ]
    decided = await suggest_ahead(tx, doors, now)
    return Ahead(today, await _at_doors(tx, decided, caller, now))


def _place(row: DoorRow) -> tuple[float | str, ...]:
    return rules.place_in_day(
        row.state,
        place=row.place,
        appointment_from=row.appointment_from,
        appointment_until=row.appointment_until,
        priority=row.priority,
        due_at=row.due_at,
        completed_at=None,
        order_id=row.order_id,
    )


async def _door(
    tx: AsyncSession,
    row: DoorRow,
    customer_id: UUID,
    technician_id: UUID,
    org_path: str,
    outages: Sequence[Open],
    *,
    visit_id: UUID | None,
    began_at: datetime,
    restored: bool,
) -> Door:
    """Say at which door offers are made; an org unit's zone is remembered by the process."""
    until = row.appointment_until
    return Door(
        visit_id=visit_id,
        work_order_id=row.order_id,
        customer_id=customer_id,
        technician_id=technician_id,
        began_at=began_at,
        work_type=row.work_type,
        reported_at=row.reported_at,
        restored=restored,
        order_pending=row.others_pending,
        ordered_here=row.ordered_here,
        other_repairs_at=row.other_repairs_at,
        org_path=org_path,
        zone=await queries.zone_of_unit(tx, row.org_unit_id),
        outage=any(_reaches(one, row) for one in outages),
        over_at=until and until + timedelta(minutes=row.estimated_minutes),
    )


async def _at_doors(
    tx: AsyncSession, several: Sequence[Decided], caller: Caller, now: datetime
) -> list[AtTheDoor]:
    """Say of each offer that is shown whether it can be had with its visit, and write that down.

    What the technician has left of the day is read once, if anything shown has to be installed.
    """
    hands = None
    if any(
        offering.install_minutes is not None for decided in several for offering in _shown(decided)
    ):
        day = await own_day(tx, technician_of(caller), caller, now=now)
        hands = Hands(day.skills, day.free_minutes, day.in_van)
    doors = [_at_door(decided, hands) for decided in several]
    # Phones without a network show it, with the moment of which it was true.
    await note_installs(
        tx,
        technician_of(caller),
        {
            door.decided.decision.work_order_id: (
                door.decided.decision.id,
                {code: one.why_not for code, one in door.installs.items()},
            )
            for door in doors
            if door.installs
        },
        now=now,
    )
    return doors


def _at_door(decided: Decided, hands: Hands | None) -> AtTheDoor:
    """A line that runs has its port; only a new one needs another."""
    facts = decided.decision.facts
    installs = {
        offering.code: install_now(
            ToInstall(
                decided.on_site[offering.code],
                offering.skill,
                offering.install_minutes,
                offering.terminal_kind,
                needs_port=offering.speed_mbps is not None and facts.get("speed_mbps") is None,
            ),
            hands,
            port_free=facts.get("port_free"),
        )
        for offering in _shown(decided)
    }
    return AtTheDoor(decided, installs)


def _shown(decided: Decided) -> list[Offering]:
    return [
        decided.catalogue[one.offering_code] for one in decided.candidates if one.rank is not None
    ]


def _reaches(outage: Open, row: DoorRow) -> bool:
    """Tell whether an outage that is open reaches the customer of an order, as far as is known."""
    return outage.id == row.outage_id or (
        row.customer_id in outage.behind or outage.place == Place(PlaceKind.GRID, str(row.grid_id))
    )
