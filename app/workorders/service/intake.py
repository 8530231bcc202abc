"""Taking orders in: told from those known already, given a unit, a promise and minutes, written.

Nothing here asks where an order goes; the room above does that between `sort_out` and `write`.
One order goes the same way as a thousand: each look into the database is made once for all.
"""

import struct
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import Rows, new_id, put
from app.core.errors import Problem, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.customers.models import Interaction
from app.customers.rules import Channel, InteractionKind
from app.grids.rules import GridKind
from app.lifecycle.service import judging as lifecycle
from app.promises import queries as promises
from app.promises.rules import first_due, promise_for
from app.workorders import queries, rules
from app.workorders.queries import Known, Unit
from app.workorders.repeats import Before, Fault, closed_before
from app.workorders.rules import Draft, Sender, State, Step, UnplacedReason
from app.workorders.service.many import EVENT
from app.workorders.whereabouts import Whereabouts
from app.worktypes import queries as worktypes
from app.worktypes.rules import BUILT_IN, WorkType, template_for


@dataclass(slots=True)
class Incoming:
    """An order on its way in; it takes its first steps in memory and is written once."""

    draft: Draft
    id: UUID
    unit: Unit
    customer_id: UUID | None
    received_at: datetime
    customer_path: str | None = None
    value_tier: str | None = None
    minutes: int = 0
    template_id: UUID | None = None
    promise_rule_id: UUID | None = None
    before: Before | None = None
    outage_id: UUID | None = None
    due_at: datetime | None = None
    state: State = State.RECEIVED
    grid_id: UUID | None = None
    grid_kind: GridKind | None = None
    near_border: bool = False
    holder_id: UUID | None = None
    planned_day: date | None = None
    unplaced_reason: UnplacedReason | None = None
    tried_at: datetime | None = None
    steps: list[tuple[Step, State, State, str | None, dict[str, Any] | None]] = field(
        default_factory=list
    )

    @property
    def repeats(self) -> int:
        """How many faults in a row have come back on its service, with this one."""
        return 0 if self.before is None else self.before.repeats + 1

    @property
    def whereabouts(self) -> Whereabouts:
        """What it says of its place."""
        draft = self.draft
        return Whereabouts(
            draft.lon,
            draft.lat,
            self.customer_path or self.unit.path,
            self.customer_id,
            draft.service_number,
            draft.address,
            draft.locality,
        )

    def keep_appointment(self, begins: datetime, until: datetime, minutes: int) -> None:
        """Take over the window and minutes that were held for the order. Aware moments."""
        self.draft = replace(
            self.draft,
            appointment_from=begins,
            appointment_until=until,
            estimated_minutes=minutes,
        )

    def step(
        self, step: Step, *, reason: str | None = None, facts: dict[str, Any] | None = None
    ) -> None:
        """Take a step; it becomes an event when the order is written. Raises StepRefused."""
        went_to = rules.move(self.state, step)
        self.steps.append((step, self.state, went_to, reason, facts))
        self.state = went_to


@dataclass(frozen=True, slots=True)
class Sorted:
    """One draft's fate before placing: new, known already, or refused."""

    incoming: Incoming | None = None
    known_id: UUID | None = None
    problem: Problem | None = None


async def sort_out(
    tx: AsyncSession, drafts: Sequence[Draft], sender: Sender, *, now: datetime
) -> list[Sorted]:
    """Tell new orders from those known already and those that cannot be taken in, in order.

    An order belongs to the unit it names, else to the sender's, until it is located. A customer
    outside the sender's subtree is not linked.
    """
    known = await queries.known(
        tx,
        [(draft.source, draft.external_id) for draft in drafts],
        [draft.id for draft in drafts if draft.id is not None],
    )
    by_name = {(row.source, row.external_id): row for row in known}
    by_id = {row.id: row for row in known}
    units = await queries.org_units(
        tx,
        ids={sender.org_unit_id, *(row.org_unit_id for row in known)},
        codes={draft.org_unit_code for draft in drafts if draft.org_unit_code},
    )
    by_code, by_number = await queries.customers_named(
        tx,
        {draft.customer_code for draft in drafts if draft.customer_code},
        {draft.service_number for draft in drafts if draft.service_number},
        sender.org_path,
    )
    sorted_out: list[Sorted] = []
    for draft in drafts:
        met = by_name.get((draft.source, draft.external_id))
        if met is not None:
            sorted_out.append(_met_again(draft, met, sender, units))
            continue
        if draft.id is not None and draft.id in by_id:
            sorted_out.append(Sorted(problem=SameIdOtherContent(id=draft.id)))
            continue
        unit = (
            units.by_code.get(draft.org_unit_code)
            if draft.org_unit_code
            else units.by_id.get(sender.org_unit_id)
        )
        if unit is None or not unit.path.startswith(sender.org_path):
            sorted_out.append(
                Sorted(problem=rules.UnknownOrgUnit(code=draft.org_unit_code, errors=_NO_UNIT))
            )
            continue
        customer = by_code.get(draft.customer_code or "") or by_number.get(
            draft.service_number or ""
        )
        incoming = Incoming(
            draft=draft,
            id=draft.id or new_id(),
            unit=unit,
            customer_id=customer.id if customer else None,
            customer_path=customer.org_path if customer else None,
            value_tier=customer.value_tier if customer else None,
            received_at=now,
        )
        # A line that comes twice in one file is met again as if it had come in another.
        row = Known(incoming.id, draft.source, draft.external_id, draft.content_hash, unit.id)
        by_name[draft.source, draft.external_id] = by_id[incoming.id] = row
        sorted_out.append(Sorted(incoming=incoming))
    return sorted_out


_NO_UNIT = [{"field": "org_unit_code", "message": "no such org unit in your area"}]


def _met_again(draft: Draft, met: Known, sender: Sender, units: queries.Units) -> Sorted:
    seen = units.by_id[met.org_unit_id].path.startswith(sender.org_path)
    same = met.content_hash == draft.content_hash and draft.id in (None, met.id)
    if seen and same:
        return Sorted(known_id=met.id)
    return Sorted(
        problem=rules.SameOrderOtherContent(
            source=draft.source, external_id=draft.external_id, id=met.id if seen else None
        )
    )


async def settle(tx: AsyncSession, orders: Collection[Incoming]) -> None:
    """Give orders what their unit decides: what their work type asks for, and until when.

    Minutes are the template's where none were sent; its skills come to those that were, and the
    terminals it needs count where none were named. A fault that comes back shortly after work on
    the same service is linked to it, and more urgent. What is promised is settled here once, by
    what is known now of the customer and of the place.
    """
    await _link_repeats(tx, [one for one in orders if one.draft.work_type is WorkType.REPAIR])
    templates = (await worktypes.templates(tx)).values()
    promised = await promises.promises(tx)
    calendar = await promises.calendar(tx, promised)
    for order in orders:
        draft, unit = order.draft, order.unit
        work_type = draft.work_type
        reported_on = draft.reported_at.astimezone(unit.zone).date()
        began_with = template_for(templates, work_type, unit.path, reported_on)
        template = began_with.template if began_with else BUILT_IN[work_type]
        order.template_id = began_with.id if began_with else None
        order.minutes = draft.estimated_minutes or template.minutes
        more = tuple(skill for skill in template.skills if skill not in draft.skills)
        if more or (template.needs and not draft.terminals):
            order.draft = replace(
                draft,
                skills=draft.skills + more,
                terminals=draft.terminals or template.needs,
            )
        promise = promise_for(
            promised,
            work_type,
            unit.path,
            reported_on,
            value_tier=order.value_tier,
            grid_kind=order.grid_kind,
            same_visit=draft.same_visit,
        )
        if promise is not None:
            order.promise_rule_id = promise.id
            order.due_at = first_due(draft.reported_at, unit.zone, promise, unit.path, calendar)


async def _link_repeats(tx: AsyncSession, repairs: Sequence[Incoming]) -> None:
    if not repairs:
        return
    numbers = await parameters_in_force(tx)
    faults = []
    for order in repairs:
        draft = order.draft
        days = numbers.number(rules.REPEAT_DAYS, order.received_at, order.unit.path)
        since = draft.reported_at - timedelta(days=days)
        faults.append(
            Fault(draft.service_number, order.customer_id, draft.address, since, draft.reported_at)
        )
    for place, before in (await closed_before(tx, faults)).items():
        order = repairs[place]
        order.before = before
        if numbers.whole(rules.REPEAT_RAISES, order.received_at, order.unit.path):
            order.draft = replace(order.draft, priority=rules.raised(order.draft.priority))


# What `write` copies; the database fills in the rest.
_ORDER = (
    "id org_unit_id source external_id content_hash work_type priority state unplaced_reason "
    "template_id promise_rule_id repeat_of_id repeats outage_id customer_id service_number "
    "contact_name contact_phone address locality summary point grid_id near_border skills "
    "terminals estimated_minutes appointment_from appointment_until due_at reported_at "
    "received_at tried_at holder_id planned_day"
)


async def write(tx: AsyncSession, orders: Sequence[Incoming], sender: Sender) -> None:
    """Write orders and their first events, and a contact for each fault of a known customer.

    Raises psycopg's UniqueViolation when another transaction has just taken one of them in.
    """
    events = [row for order in orders for row in _event_rows(order, sender.account_id)]
    await put(
        tx,
        Rows("work_order", _ORDER, [_order_row(order) for order in orders]),
        Rows("work_order_event", EVENT, events),
    )
    audit.note(tx, table="work_order", operation="insert", ids=[order.id for order in orders])
    contacts = [
        Interaction(
            id=new_id(),
            customer_id=order.customer_id,
            at=order.draft.reported_at,
            channel=Channel.PHONE,
            kind=InteractionKind.FAULT,
            subject=order.draft.summary,
            work_order_id=order.id,
        )
        for order in orders
        if order.customer_id is not None and order.draft.work_type is WorkType.REPAIR
    ]
    if contacts:
        tx.add_all(contacts)
        await tx.flush()
    # Whoever has all they hold removed is about to leave.
    leaving = [one for one in orders if one.draft.work_type is WorkType.REMOVE]
    await lifecycle.look_soon(tx, [one.customer_id for one in leaving if one.customer_id])


_POINT = struct.Struct("<BIIdd")  # EWKB: little-endian, a point with an SRID


def _order_row(order: Incoming) -> tuple[Any, ...]:
    draft = order.draft
    point = (
        None
        if draft.lon is None or draft.lat is None
        else _POINT.pack(1, 0x20000001, 4326, draft.lon, draft.lat).hex()
    )
    return (
        order.id,
        order.unit.id,
        draft.source,
        draft.external_id,
        draft.content_hash,
        draft.work_type.value,
        draft.priority,
        order.state.value,
        order.unplaced_reason and order.unplaced_reason.value,
        order.template_id,
        order.promise_rule_id,
        order.before and order.before.order_id,
        order.repeats,
        order.outage_id,
        order.customer_id,
        draft.service_number,
        draft.contact_name,
        draft.contact_phone,
        draft.address,
        draft.locality,
        draft.summary,
        point,
        order.grid_id,
        order.near_border,
        _array(draft.skills),
        _array(draft.terminals),
        order.minutes,
        draft.appointment_from,
        draft.appointment_until,
        order.due_at,
        draft.reported_at,
        order.received_at,
        order.tried_at,
        order.holder_id,
        order.planned_day,
    )


def _array(words: Iterable[str]) -> str:
    """Write an array as PostgreSQL reads it; codes need no escapes."""
    return "{" + ",".join(f'"{word}"' for word in words) + "}"


def _event_rows(order: Incoming, account_id: UUID | None) -> Iterable[tuple[Any, ...]]:
    at, told = order.received_at, None
    if order.before is not None:
        again = {"repeat_of_id": order.before.order_id, "repeats": order.repeats}
        told = orjson.dumps(again).decode()
    yield (new_id(), order.id, at, account_id, None, None, State.RECEIVED.value, None, told)
    for step, came_from, went_to, reason, facts in order.steps:
        yield (
            new_id(),
            order.id,
            at,
            account_id,
            step.value,
            came_from.value,
            went_to.value,
            reason,
            orjson.dumps(facts).decode() if facts else None,
        )
