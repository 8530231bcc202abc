"""What a district's day is built from: who is at work, and what is wanted of them. Pure values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple
from uuid import UUID

from app.dispatch.rules.costs import Terms
from app.dispatch.rules.routes import Frame
from app.dispatch.rules.vans import Van
from app.dispatch.solver import FAR
from app.grids.rules import MembershipKind
from app.planning.rules.districts import Fact, LeftOut
from app.travel.rules import Place, Travel

EMPTY = Van()
"""The van of whom nobody asks what is in it."""


class Person(NamedTuple):
    """Somebody at work: what their day has to fit into, and the most seconds they may work. What is
    left in their `van` is so once all orders have theirs that they hold, on whatever day."""

    technician_id: UUID
    frame: Frame
    skills: frozenset[str]
    most: int
    van: Van = EMPTY


class Wanted(NamedTuple):
    """An order to be planned. `opens` and `closes` are its appointment (0 and FAR: none), `since`
    is when its holder set out for it or checked in. `ours` says that it lies in this district, and
    `bound` that it lies where who plans has no say, so that it stays with its holder."""

    fact: Fact
    place: Place | None
    opens: int = 0
    closes: int = FAR
    skills: frozenset[str] = frozenset()
    pinned_to: UUID | None = None
    since: int | None = None
    declined: tuple[UUID, ...] = ()
    ours: bool = True
    bound: bool = False
    terminals: tuple[str, ...] = ()


class Membership(NamedTuple):
    """How somebody belongs to a grid on the day."""

    technician_id: UUID
    kind: MembershipKind
    rank: int


class Taken(NamedTuple):
    """A time of somebody's that is promised to a customer who has not decided yet."""

    technician_id: UUID
    opens: int
    closes: int
    seconds: int


@dataclass(frozen=True, slots=True)
class Asked:
    """All that a district's day is built from. `now` is null for a day that has not come yet.

    `stays` says that giving a visit to somebody else has its price, since people know their day.
    """

    org_unit_id: UUID
    day: date
    origin: int
    now: int | None
    people: Sequence[Person]
    orders: Sequence[Wanted]
    terms: Terms
    travel: Travel
    stays: bool
    routes: Mapping[UUID, Sequence[UUID]] = field(default_factory=dict)
    memberships: Mapping[UUID, Sequence[Membership]] = field(default_factory=dict)
    taken: Sequence[Taken] = ()
    absent: frozenset[UUID] = frozenset()
    # By which factor somebody's fair share of work is more or less, after the last month.
    leanings: Mapping[UUID, float] = field(default_factory=dict)
    left_out: Sequence[LeftOut] = ()
