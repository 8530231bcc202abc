"""What a supervisor is warned of: grids without a primary, cover that ends, everybody away."""

from collections.abc import Callable, Iterator, Sequence
from datetime import date, timedelta
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter
from app.grids.rules import MembershipKind
from app.grids.rules.asking import works_on
from app.grids.rules.terms import Term
from app.technicians.rules import Away

EXPIRY_WARNING = Parameter(
    name="grids.expiry_warning_days",
    default=14,
    unit="days",
    words=Words(
        zh="网格空缺和到期提前多少天预警",
        en="How many days ahead vacancies and ends of memberships are warned of",
    ),
    least=1,
    most=92,
)


class WarningKind(StrEnum):
    """What is wrong with a grid for some days."""

    VACANT = "vacant"
    BACKUP_ONLY = "backup_only"
    EXPIRING = "expiring"
    ALL_AWAY = "all_away"
    OFF_SHIFT = "off_shift"


WARNING_WORDS: dict[WarningKind, Words] = {
    WarningKind.VACANT: Words(zh="无人负责", en="nobody looks after it"),
    WarningKind.BACKUP_ONLY: Words(zh="无主责，仅有备岗或借调", en="no primary, only cover"),
    WarningKind.EXPIRING: Words(zh="备岗或借调到期且无人接续", en="cover ends, nobody follows"),
    WarningKind.ALL_AWAY: Words(zh="主责与备岗均请假或停用", en="everybody of it is away"),
    WarningKind.OFF_SHIFT: Words(zh="当日无人当班", en="nobody of it is on shift"),
}

# A day off that comes every week is no news: whoever wants those asks for them.
USUAL = frozenset(WarningKind) - {WarningKind.OFF_SHIFT}


class Warned(NamedTuple):
    """A grid and what is wrong with it: from one local day to another, the last excluded.

    `valid_to` null is open. `term` is the membership whose end makes it so, where one does.
    """

    grid_id: UUID
    kind: WarningKind
    valid_from: date
    valid_to: date | None
    term: Term | None = None


Presence = Callable[[UUID, date], Away | None]


def warnings(
    grid_id: UUID, terms: Sequence[Term], days: Sequence[date], away: Presence
) -> Iterator[Warned]:
    """Say what is wrong with a grid on any of some local days, which follow each other.

    `terms` are its memberships that end on the first day or later, also those that begin after the
    last; `away` tells why somebody is not at work on a day, if so.
    """
    yield from _vacancies(grid_id, terms, days)
    yield from _expiring(grid_id, terms, days)
    yield from _away(grid_id, terms, days, away)


def _vacancies(grid_id: UUID, terms: Sequence[Term], days: Sequence[date]) -> Iterator[Warned]:
    """Days without a primary; as for the one primary at a time, weekdays do not matter."""
    primaries = [one for one in terms if one.kind is MembershipKind.PRIMARY]
    others = [one for one in terms if one.kind is not MembershipKind.PRIMARY]

    def kind(day: date) -> WarningKind | None:
        if any(one.holds_on(day) for one in primaries):
            return None
        covered = any(one.holds_on(day) for one in others)
        return WarningKind.BACKUP_ONLY if covered else WarningKind.VACANT

    for found, first, after in _runs(days, kind):
        until: date | None = after
        if after > days[-1]:
            later = (one.valid_from for one in primaries if one.valid_from >= after)
            until = min(later, default=None)
        ended = (one for one in primaries if one.valid_to == first and one.valid_from < first)
        yield Warned(grid_id, found, first, until, next(ended, None))


def _expiring(grid_id: UUID, terms: Sequence[Term], days: Sequence[date]) -> Iterator[Warned]:
    """Backups and loans that end on one of the days while no other of their kind goes on.

    Where a primary ends there is a vacancy, unless somebody follows.
    """
    for one in terms:
        ends = one.valid_to
        if one.kind is MembershipKind.PRIMARY or ends is None or ends == one.valid_from:
            continue
        followed = any(
            other.kind is one.kind and other.id != one.id and other.holds_on(ends)
            for other in terms
        )
        if days[0] < ends <= days[-1] and not followed:
            yield Warned(grid_id, WarningKind.EXPIRING, ends, None, one)


def _away(
    grid_id: UUID, terms: Sequence[Term], days: Sequence[date], away: Presence
) -> Iterator[Warned]:
    """Days on which somebody belongs to the grid, but nobody of them is at work."""

    def kind(day: date) -> WarningKind | None:
        known: WarningKind | None = None
        for one in terms:
            if not one.holds_on(day):
                continue
            why = Away.NOT_ON_SHIFT
            if works_on(day, one.weekdays):
                there = away(one.technician_id, day)
                if there is None:
                    return None
                why = there
            if why is not Away.NOT_ON_SHIFT:
                known = WarningKind.ALL_AWAY
            known = known or WarningKind.OFF_SHIFT
        return known

    for found, first, after in _runs(days, kind):
        yield Warned(grid_id, found, first, after)


def _runs(
    days: Sequence[date], kind: Callable[[date], WarningKind | None]
) -> Iterator[tuple[WarningKind, date, date]]:
    """Gather days of one kind that follow each other: the kind, the first, and the one after."""
    for found, run in groupby(days, kind):
        of_it = list(run)
        if found is not None:
            yield found, of_it[0], of_it[-1] + timedelta(days=1)
