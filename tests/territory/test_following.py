"""What memberships do when their grids are redrawn: the rule as a table."""

from datetime import date

import pytest

from app.core.db import new_id
from app.grids.rules import ChangeKind, MembershipKind
from app.territory.rules.following import Becomes, Fate, Member, follow

DAY = date(2026, 3, 2)
LONG_AGO, YESTERDAY, TOMORROW, LATER = (
    date(2025, 1, 1),
    date(2026, 3, 1),
    date(2026, 3, 3),
    date(2026, 4, 1),
)
A, B, C, LI, WANG, ZHOU = (new_id() for _ in range(6))
PRIMARY, BACKUP, LOAN = MembershipKind.PRIMARY, MembershipKind.BACKUP, MembershipKind.LOAN
DAYS = dict.fromkeys((A, B, C), DAY)


def member(grid, technician, kind=PRIMARY, *, since=LONG_AGO, until=None, rank=1):
    """Somebody who looks after a grid every day."""
    return Member(new_id(), grid, technician, kind, rank, since, until, 127, 60)


def told(fates):
    """Fates as a table: who, in which grid, what becomes of it, how, and from when until when."""
    return {
        (
            fate.member.technician_id,
            fate.member.grid_id,
            fate.becomes,
            fate.member.kind,
            fate.member.rank,
            fate.member.valid_from,
            fate.member.valid_to,
        )
        for fate in fates
    }


@pytest.mark.parametrize("kind", [ChangeKind.RESHAPE, ChangeKind.MOVE_BORDER, ChangeKind.LIST])
def test_nothing_changes_when_only_ground_does(kind):
    known = [member(A, LI), member(A, WANG, BACKUP), member(B, ZHOU, LOAN, until=LATER)]
    assert follow(kind, known, days=DAYS) == [Fate(Becomes.KEPT, one) for one in known]


@pytest.mark.parametrize(
    ("since", "until", "copy"),
    [
        (LONG_AGO, None, (DAY, None)),
        (LONG_AGO, LATER, (DAY, LATER)),
        (DAY, None, (DAY, None)),
        (TOMORROW, LATER, (TOMORROW, LATER)),
        (LONG_AGO, TOMORROW, (DAY, TOMORROW)),
        (LONG_AGO, DAY, None),  # it ended with yesterday
        (TOMORROW, TOMORROW, None),  # it was taken back
    ],
)
@pytest.mark.parametrize(("kind", "rank"), [(PRIMARY, 1), (BACKUP, 2), (LOAN, 1)])
def test_each_new_part_of_a_split_has_the_same_people(since, until, copy, kind, rank):
    one = member(A, LI, kind, since=since, until=until, rank=rank)
    fates = follow(ChangeKind.SPLIT, [one], days=DAYS, new=[B, C])
    if copy is None:
        assert fates == []
        return
    assert fates[0] == Fate(Becomes.KEPT, one)
    assert told(fates[1:]) == {(LI, grid, Becomes.COPIED, kind, rank, *copy) for grid in (B, C)}
    assert {(fate.member.weekdays, fate.member.ratio) for fate in fates} == {(127, 60)}


@pytest.mark.parametrize("kind", [ChangeKind.MERGE, ChangeKind.RETIRE])
def test_whoever_is_absorbed_becomes_a_backup_behind_the_present_ones(kind):
    known = [
        member(A, LI),
        member(A, WANG, BACKUP, rank=3),
        member(B, ZHOU),
        member(B, WANG, BACKUP),  # is a backup of A already
        member(B, LI, BACKUP, rank=2),  # is its primary
    ]
    fates = follow(kind, known, days=DAYS, heir=A)
    assert told(fates) == {
        (LI, A, Becomes.KEPT, PRIMARY, 1, LONG_AGO, None),
        (WANG, A, Becomes.KEPT, BACKUP, 3, LONG_AGO, None),
        (ZHOU, B, Becomes.ENDED, PRIMARY, 1, LONG_AGO, DAY),
        (WANG, B, Becomes.ENDED, BACKUP, 1, LONG_AGO, DAY),
        (LI, B, Becomes.ENDED, BACKUP, 2, LONG_AGO, DAY),
        (ZHOU, A, Becomes.BACKUP, BACKUP, 4, DAY, None),
    }


def test_the_primaries_of_the_absorbed_come_before_their_backups():
    known = [member(B, LI, BACKUP), member(B, WANG), member(C, ZHOU)]
    fates = follow(ChangeKind.MERGE, known, days=DAYS, heir=A)
    backups = [fate.member for fate in fates if fate.becomes is Becomes.BACKUP]
    assert [(one.technician_id, one.rank) for one in backups] == [(WANG, 1), (ZHOU, 2), (LI, 3)]


def test_nobody_is_added_twice():
    known = [member(B, LI), member(C, LI), member(C, LI, BACKUP)]
    fates = follow(ChangeKind.MERGE, known, days=DAYS, heir=A)
    assert [fate.becomes for fate in fates].count(Becomes.BACKUP) == 1


def test_loans_end_with_the_grid_that_is_absorbed():
    known = [member(A, WANG, LOAN, until=LATER), member(B, LI, LOAN, until=LATER)]
    assert told(follow(ChangeKind.MERGE, known, days=DAYS, heir=A)) == {
        (WANG, A, Becomes.KEPT, LOAN, 1, LONG_AGO, LATER),
        (LI, B, Becomes.ENDED, LOAN, 1, LONG_AGO, DAY),
    }


def test_who_only_helps_out_is_no_backup_yet():
    known = [member(A, LI, LOAN, until=LATER), member(B, LI)]
    fates = follow(ChangeKind.MERGE, known, days=DAYS, heir=A)
    assert [fate.becomes for fate in fates] == [Becomes.KEPT, Becomes.ENDED, Becomes.BACKUP]


def test_a_primary_to_come_becomes_a_backup_from_that_day():
    fates = follow(ChangeKind.MERGE, [member(B, LI, since=LATER)], days=DAYS, heir=A)
    assert told(fates) == {
        (LI, B, Becomes.TAKEN_BACK, PRIMARY, 1, LATER, LATER),
        (LI, A, Becomes.BACKUP, BACKUP, 1, LATER, None),
    }


@pytest.mark.parametrize(
    ("since", "becomes", "ends"),
    [
        (LONG_AGO, Becomes.ENDED, DAY),
        (YESTERDAY, Becomes.ENDED, DAY),
        (DAY, Becomes.TAKEN_BACK, DAY),
        (LATER, Becomes.TAKEN_BACK, LATER),
    ],
)
def test_without_an_heir_everything_ends(since, becomes, ends):
    (fate,) = follow(ChangeKind.RETIRE, [member(A, LI, since=since)], days=DAYS)
    assert (fate.becomes, fate.member.valid_to) == (becomes, ends)


def test_each_grid_goes_by_its_own_day():
    days = {A: TOMORROW, B: DAY}  # A lies far in the east
    fates = follow(ChangeKind.MERGE, [member(B, LI)], days=days, heir=A)
    assert [(fate.member.valid_from, fate.member.valid_to) for fate in fates] == [
        (LONG_AGO, DAY),
        (TOMORROW, None),
    ]
