"""Wire shapes of what whoever takes a grid over finds there; personal fields leave masked."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.core.paging import NextPage
from app.grids.rules import MembershipKind
from app.grids.rules.bulk import Person
from app.grids.rules.terms import Term
from app.territory.rules.handover import Holder, Parties
from app.workorders.rules import State, masked_address
from app.worktypes.rules import WorkType

MOST_ORDERS = 200


class KeeperOut(Answer):
    """Somebody who looks after a grid, and until when."""

    membership_id: UUID
    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    active: bool
    kind: MembershipKind
    rank: int = Field(ge=1, le=1000)
    valid_from: date
    valid_to: date | None = Field(description="The first day on which it no longer holds.")


class OrderFiguresOut(Answer):
    """The grid's orders that are not closed."""

    waiting: int = Field(ge=0, description="Nobody has them.")
    with_predecessor: int = Field(
        ge=0, description="They stay there, since a promise was made, unless somebody moves them."
    )
    with_others: int = Field(ge=0)
    appointments: int = Field(ge=0, description="Of all of them, those with an appointment.")
    overdue: int = Field(ge=0, description="Of all of them, those past what was promised.")
    next_due_at: datetime | None


class HandoverOut(Answer):
    """A grid that is handed over on a day, and what lies in it."""

    grid_id: UUID
    grid_code: str = Field(max_length=64)
    grid_name: str = Field(max_length=200)
    predecessor: KeeperOut | None = Field(description="The primary until that day.")
    successor: KeeperOut | None = Field(description="The primary from that day on.")
    others: list[KeeperOut] = Field(
        max_length=200, description="Loans and backups of that day, in the order of asking."
    )
    customers: int = Field(ge=0, description="With an address in the grid.")
    open_orders: OrderFiguresOut
    terminals_due_back: int = Field(
        ge=0, description="They stand with customers whose services have all ended by that day."
    )

    @classmethod
    def of(cls, handed: Any, people: Mapping[UUID, Person]) -> Self:
        """Write a grid out, with people by their ids."""
        return cls(**_fields(handed, people))


class HandoverTotals(Answer):
    """All grids of a list together."""

    grids: int = Field(ge=0)
    customers: int = Field(ge=0)
    open_orders: int = Field(ge=0)
    with_predecessor: int = Field(ge=0)
    appointments: int = Field(ge=0)
    terminals_due_back: int = Field(ge=0)

    @classmethod
    def of(cls, grids: Any) -> Self:
        """Add grids up."""
        return cls(
            grids=len(grids),
            customers=sum(one.customers for one in grids),
            open_orders=sum(
                one.orders.waiting + one.orders.with_predecessor + one.orders.with_others
                for one in grids
            ),
            with_predecessor=sum(one.orders.with_predecessor for one in grids),
            appointments=sum(one.orders.appointments for one in grids),
            terminals_due_back=sum(one.terminals_due_back for one in grids),
        )


class HandoverPage(Answer):
    """A page of grids that are handed over on a day, by code; the totals are of all."""

    day: date
    totals: HandoverTotals
    handovers: list[HandoverOut] = Field(max_length=200)
    next_page_token: NextPage


class HandedOrderOut(Answer):
    """An open order of a grid that is handed over; the customer's name and number are left out."""

    id: UUID
    external_id: str = Field(max_length=128)
    work_type: WorkType
    priority: int = Field(ge=1, le=4)
    state: State
    held_by: Holder
    holder_id: UUID | None
    holder_code: str | None = Field(max_length=64)
    holder_name: str | None = Field(max_length=200)
    address: str = Field(max_length=501, description="Down to the building.")
    locality: str | None = Field(max_length=200)
    summary: str = Field(max_length=2000)
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    planned_day: date | None = Field(description="A local day of the org unit.")
    version: int = Field(ge=1, description="Say it when you give it to somebody.")


class GridHandoverOut(HandoverOut):
    """The same with the orders themselves, those first that are next."""

    day: date
    orders: list[HandedOrderOut] = Field(max_length=MOST_ORDERS)
    orders_left_out: int = Field(ge=0, description="Open orders beyond those listed.")

    @classmethod
    def with_orders(
        cls, handed: Any, people: Mapping[UUID, Person], orders: Any, *, day: date
    ) -> Self:
        """Write a grid out with its open orders."""
        figures = handed.orders
        known = figures.waiting + figures.with_predecessor + figures.with_others
        return cls(
            **_fields(handed, people),
            day=day,
            orders=[_order(row, handed.parties) for row in orders],
            orders_left_out=max(0, known - len(orders)),
        )


def _fields(handed: Any, people: Mapping[UUID, Person]) -> dict[str, Any]:
    predecessor, successor, others = handed.parties
    return {
        "grid_id": handed.grid_id,
        "grid_code": handed.code,
        "grid_name": handed.name,
        "predecessor": _keeper(predecessor, people) if predecessor else None,
        "successor": _keeper(successor, people) if successor else None,
        "others": [_keeper(one, people) for one in others],
        "customers": handed.customers,
        "open_orders": OrderFiguresOut.model_validate(handed.orders),
        "terminals_due_back": handed.terminals_due_back,
    }


def _keeper(term: Term, people: Mapping[UUID, Person]) -> KeeperOut:
    person = people[term.technician_id]
    return KeeperOut(
        membership_id=term.id,
        technician_id=person.id,
        code=person.code,
        name=person.name,
        active=person.active,
        kind=term.kind,
        rank=term.rank,
        valid_from=term.valid_from,
        valid_to=term.valid_to,
    )


def _order(row: Any, of: Parties) -> HandedOrderOut:
    fields = dict(row._mapping)
    fields["address"] = masked_address(fields["address"])
    held_by = Holder.SOMEBODY_ELSE
    if row.holder_id is None:
        held_by = Holder.NOBODY
    elif of.predecessor is not None and row.holder_id == of.predecessor.technician_id:
        held_by = Holder.PREDECESSOR
    return HandedOrderOut(**fields, held_by=held_by)
