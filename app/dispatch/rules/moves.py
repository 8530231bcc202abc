"""Many orders moved by one command: what it says, what it meets, and what comes of it. Values only;
`court` judges."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from app.dispatch.rules.diaries import Diary
from app.dispatch.rules.routes import Frame, Stop
from app.dispatch.rules.why_not import OVERRIDABLE, WhyNot
from app.dispatch.rules.windows import Booked
from app.technicians.rules import Loan
from app.travel.rules import Travel
from app.workorders.rules import State, UnplacedReason

DayOf = tuple[UUID, date]  # a technician's id and a local day


class Wish(NamedTuple):
    """A row: the order as its sender saw it, and to whom on which local day it shall go.

    Without a technician it stays with its holder, without a day on its day; `take_back` takes it
    from whoever has it. `version` None takes it as it is.
    """

    order_id: UUID
    version: int | None = None
    technician_id: UUID | None = None
    day: date | None = None
    take_back: bool = False
    back_to: "Before | None" = None


class Before(NamedTuple):
    """How an order was before a command that is undone: why nobody had it, if nobody had, which
    order came before it on its day (None: it was the first), and its pin."""

    unplaced_reason: UnplacedReason | None
    behind: UUID | None
    pin: Mapping[str, Any] | None


class Selection(NamedTuple):
    """Orders chosen by where they are: what somebody has on a local day, or what a grid has open.

    Of a person's day `carried` says that what is left from days before is among it; a grid's are
    those of one day, or all that are open.
    """

    technician_id: UUID | None = None
    grid_id: UUID | None = None
    day: date | None = None
    carried: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What a supervisor wants done with many orders: those of `rows`, or those of `of`.

    `technician_id` and `day` are for all rows that say nothing else.
    """

    take_back: bool
    rows: Sequence[Wish] = ()
    of: Selection | None = None
    technician_id: UUID | None = None
    day: date | None = None


class Found(NamedTuple):
    """An order of the caller's subtree as a command meets it. Moments are aware."""

    id: UUID
    external_id: str
    grid_id: UUID | None
    version: int
    state: State
    unplaced_reason: UnplacedReason | None
    holder_id: UUID | None
    planned_day: date | None
    minutes: int
    skills: frozenset[str]
    terminals: tuple[str, ...]
    window: tuple[datetime, datetime] | None
    stop: Stop


@dataclass(slots=True)
class Person:
    """Somebody who holds one of the orders, or shall have one.

    `ours` is whether they belong to the caller's subtree; `loans` are those they are lent by, and
    `loans_to_us` of these the ones to the caller's subtree.
    """

    diary: Diary
    travel: Travel
    ours: bool
    loans: Sequence[Loan] = ()
    loans_to_us: Sequence[Loan] = ()

    def counted_on(self, day: date) -> bool:
        """Tell whether the caller may give them work on a local day."""
        return self.ours or any(loan.on(day) for loan in self.loans_to_us)

    def lent(self, day: date) -> bool:
        """Tell whether they work for others on that day."""
        return any(loan.on(day) for loan in self.loans if loan not in self.loans_to_us)


class Standing(NamedTuple):
    """A local day of somebody as it stands: its frame (None: they do not work), its visits, and
    their order as far as it is written down."""

    frame: Frame | None
    stops: Sequence[Stop]
    route: Sequence[UUID]


@dataclass(frozen=True, slots=True)
class Ground:
    """What a command meets."""

    orders: Mapping[UUID, Found]
    people: Mapping[UUID, Person]
    days: Mapping[DayOf, Standing]
    booked: Mapping[DayOf, Sequence[Booked]]


class Judged(NamedTuple):
    """What becomes of a row: where it goes (nobody: taken back), and every reason against it.

    `moves` is false for what is there already. `begin` and `late` are in seconds, as the day would
    go then; None when it is not given to anybody who works that day.
    """

    wish: Wish
    order: Found | None
    technician_id: UUID | None
    day: date | None
    moves: bool
    reasons: tuple[WhyNot, ...]
    begin: int | None = None
    late: int = 0

    @property
    def insisting(self) -> bool:
        """Tell whether nothing but rules that a supervisor may break speak against it."""
        return bool(self.reasons) and OVERRIDABLE.issuperset(self.reasons)


class Effect(NamedTuple):
    """A day before and after: minutes at doors and orders promised, minutes left, visits begun
    after their window, visits that end late, and when home is reached (seconds since 1970)."""

    minutes: tuple[int, int]
    orders: tuple[int, int]
    left: tuple[int, int]
    missed: tuple[int, int]
    late: tuple[int, int]
    home: tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole command, judged. `before` are the orders of the days it concerns as they were,
    `routes` those that have to be written down now."""

    rows: Sequence[Judged]
    effects: Mapping[DayOf, Effect]
    before: Mapping[DayOf, Sequence[UUID]]
    routes: Mapping[DayOf, Sequence[UUID]]

    def refused(self, *, override: bool) -> list[tuple[int, Judged]]:
        """The rows that cannot be done, with their numbers from 0."""
        return [
            (number, row)
            for number, row in enumerate(self.rows)
            if row.reasons and not (override and row.insisting)
        ]
