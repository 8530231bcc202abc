"""What a command of many memberships would come to: what it moves, and what everybody then has."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.grids.rules import MembershipKind
from app.grids.rules.bulk import Judgement, Person, Plan


class Load(NamedTuple):
    """How many grids and customers a technician is primary of on a day, without and with it."""

    person: Person
    grids_before: int
    grids_after: int
    customers_before: int
    customers_after: int


@dataclass(frozen=True, slots=True)
class Outlook:
    """A command, judged, with what lies in its grids and what everybody concerned has on a day."""

    judgement: Judgement
    day: date
    customers: Mapping[UUID, int]
    open_orders: Mapping[UUID, int]
    load: list[Load]


def concerned(plan: Plan) -> set[UUID]:
    """Say whose memberships a command begins or ends."""
    return {
        term.technician_id
        for one in plan.rows
        for term in (one.term, one.predecessor)
        if term is not None
    }


def loads(
    judgement: Judgement,
    before: Mapping[UUID, set[UUID]],
    day: date,
    customers: Mapping[UUID, int],
) -> list[Load]:
    """Work out people's loads on a local day, by their codes.

    `before` is which grids each of them is primary of on that day as things stand; `customers` is
    by grid.
    """
    ours = judgement.grids.keys()
    after = {one: grids - ours for one, grids in before.items()}
    for term in judgement.plan.terms.values():
        held = term.kind is MembershipKind.PRIMARY and term.holds_on(day)
        if held and term.technician_id in after and term.grid_id in ours:
            after[term.technician_id].add(term.grid_id)
    return [
        Load(
            person=judgement.people[one],
            grids_before=len(before[one]),
            grids_after=len(after[one]),
            customers_before=sum(customers.get(grid, 0) for grid in before[one]),
            customers_after=sum(customers.get(grid, 0) for grid in after[one]),
        )
        for one in sorted(before, key=lambda one: judgement.people[one].code)
    ]
