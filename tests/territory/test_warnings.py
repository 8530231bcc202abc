"""What a supervisor is warned of, as a table of memberships and absences; no database."""

from datetime import date, timedelta
from uuid import UUID

import pytest

from app.grids.rules import MembershipKind
from app.grids.rules.terms import Term
from app.technicians.rules import Away
from app.territory.rules.vacancies import USUAL, WARNING_WORDS, WarningKind, warnings

GRID, LI, WANG, ZHAO = (UUID(int=n) for n in (1, 11, 12, 13))
VACANT, ONLY, EXPIRING, AWAY, OFF = WarningKind
MONDAY = date(2026, 3, 2)
DAYS = [MONDAY + timedelta(days=n) for n in range(14)]


def day(number: int | None) -> date | None:
    """The day so many days after Monday 2 March 2026."""
    return None if number is None else MONDAY + timedelta(days=number)


def term(who=LI, begins=-100, ends=None, kind=MembershipKind.PRIMARY, weekdays=127):
    begun = MONDAY + timedelta(days=begins)
    number = who.int * 1000 + begins
    return Term(UUID(int=number + 500), GRID, who, kind, 1, begun, day(ends), weekdays)


def backup(who=WANG, begins=-100, ends=None, weekdays=127):
    return term(who, begins, ends, MembershipKind.BACKUP, weekdays)


def loan(who=ZHAO, begins=-100, ends=10):
    return term(who, begins, ends, MembershipKind.LOAN)


def found(terms, away=None):
    """What is warned of, as (kind, from, until) in days after Monday."""
    why = away or {}
    told = warnings(GRID, terms, DAYS, lambda who, on: why.get((who, (on - MONDAY).days)))
    return [
        (
            one.kind,
            (one.valid_from - MONDAY).days,
            None if one.valid_to is None else (one.valid_to - MONDAY).days,
        )
        for one in told
    ]


@pytest.mark.parametrize(
    ("terms", "warned"),
    [
        ([term()], []),
        ([], [(VACANT, 0, None)]),
        ([term(ends=3)], [(VACANT, 3, None)]),
        ([term(ends=3), term(WANG, begins=3)], []),
        ([term(ends=3), term(WANG, begins=6)], [(VACANT, 3, 6)]),
        ([term(begins=5)], [(VACANT, 0, 5)]),
        ([term(begins=40)], [(VACANT, 0, 40)]),  # beyond what is looked at, but known
        ([term(ends=14)], []),  # on the last of the days there is a primary still
        ([term(ends=13)], [(VACANT, 13, None)]),
        ([term(begins=3, ends=3)], [(VACANT, 0, None)]),  # taken back: it never held
        ([term(ends=2), term(WANG, begins=4, ends=6)], [(VACANT, 2, 4), (VACANT, 6, None)]),
        ([backup()], [(ONLY, 0, None)]),
        ([loan(ends=40)], [(ONLY, 0, None)]),
        ([backup(begins=5)], [(VACANT, 0, 5), (ONLY, 5, None)]),
        ([term(ends=3), backup(begins=5)], [(VACANT, 3, 5), (ONLY, 5, None)]),
        # Weekdays do not make a vacancy: there is one primary at a time whatever they are.
        ([term(weekdays=0b0111111)], [(OFF, 6, 7), (OFF, 13, 14)]),
        # Cover that ends.
        ([term(), backup(ends=5)], [(EXPIRING, 5, None)]),
        ([term(), backup(ends=14)], []),
        ([term(), backup(ends=0)], []),  # it has ended already
        ([term(), backup(ends=5), backup(ZHAO)], []),
        ([term(), backup(ends=5), loan(ends=40)], [(EXPIRING, 5, None)]),
        ([term(), backup(ends=5), backup(ZHAO, begins=5)], []),
        ([term(), backup(ends=5), backup(ZHAO, begins=6)], [(EXPIRING, 5, None)]),
        ([term(), loan(ends=10)], [(EXPIRING, 10, None)]),
        ([term(), loan(ends=10), loan(WANG, begins=9, ends=20)], []),
    ],
)
def test_vacancies_and_cover_that_ends(terms, warned):
    assert found(terms) == warned


LEAVE, SHIFT, CLOSED = Away.ON_LEAVE, Away.NOT_ON_SHIFT, Away.INACTIVE


@pytest.mark.parametrize(
    ("terms", "away", "warned"),
    [
        ([term()], {(LI, 2): LEAVE, (LI, 3): LEAVE}, [(AWAY, 2, 4)]),
        ([term(), backup()], {(LI, 2): LEAVE}, []),
        ([term(), backup()], {(LI, 2): LEAVE, (WANG, 2): LEAVE}, [(AWAY, 2, 3)]),
        # One on leave and the other not on shift: nobody is there who otherwise would be.
        ([term(), backup()], {(LI, 2): LEAVE, (WANG, 2): SHIFT}, [(AWAY, 2, 3)]),
        ([term(), backup()], {(LI, 2): SHIFT, (WANG, 2): SHIFT}, [(OFF, 2, 3)]),
        ([term(), backup(weekdays=1)], {(LI, 2): LEAVE}, [(AWAY, 2, 3)]),  # a Wednesday
        ([term(), backup(weekdays=1)], {(LI, 7): LEAVE}, []),  # a Monday
        ([term(), loan(ends=40)], {(LI, 2): LEAVE}, []),
        ([term(), backup(begins=3)], {(LI, 2): LEAVE, (LI, 3): LEAVE}, [(AWAY, 2, 3)]),
        ([term()], {(LI, n): CLOSED for n in range(14)}, [(AWAY, 0, 14)]),
        ([backup()], {(WANG, 2): LEAVE}, [(ONLY, 0, None), (AWAY, 2, 3)]),
        ([term()], {(LI, 2): LEAVE, (LI, 3): SHIFT}, [(AWAY, 2, 3), (OFF, 3, 4)]),
    ],
)
def test_days_on_which_everybody_is_away(terms, away, warned):
    assert found(terms, away) == warned


def test_a_warning_names_the_membership_whose_end_makes_it_so():
    ending, lent = term(ends=3), loan(ends=5)
    told = list(warnings(GRID, [ending, lent], DAYS, lambda *_: None))
    assert [(one.kind, one.term) for one in told] == [
        (ONLY, ending),
        (VACANT, None),
        (EXPIRING, lent),
    ]


def test_every_kind_has_words_and_days_off_are_told_on_demand():
    assert WARNING_WORDS.keys() == set(WarningKind)
    assert set(WarningKind) - USUAL == {WarningKind.OFF_SHIFT}
