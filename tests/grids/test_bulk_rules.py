"""Commands of many rows: each row's verdict, and what the whole comes to; no database."""

from datetime import date
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.errors import Invalid, NotFound, SameIdOtherContent
from app.grids.rules import MembershipKind
from app.grids.rules.bulk import Assign, End, Ground, HandOver, OtherPredecessor, RowsCollide, judge
from app.grids.rules.terms import BackupsNotNamed, PrimaryTaken, Term, reordered

LI, WANG, ZHAO, STRANGER = (UUID(int=n) for n in (1, 2, 3, 9))
A, B, THEIRS = (UUID(int=n) for n in (11, 12, 19))
JAN, FEB, MAR, APR, MAY = (date(2026, month, 1) for month in range(1, 6))
NAMES = {LI: ("T1", "李师傅"), WANG: ("T2", "王师傅"), ZHAO: ("T3", "赵师傅")}


def term(number, grid=A, who=LI, begins=JAN, ends=None, kind=MembershipKind.PRIMARY, **fields):
    return Term(UUID(int=100 + number), grid, who, kind, fields.pop("rank", 1), begins, ends)


def backup(number, who, rank, begins=JAN, ends=None):
    return term(number, who=who, begins=begins, ends=ends, kind=MembershipKind.BACKUP, rank=rank)


def ground(*terms, elsewhere=()):
    return Ground(
        grids={A, B},
        technicians={LI, WANG, ZHAO},
        terms=terms,
        elsewhere={one.id for one in elsewhere},
        names=NAMES,
    )


def to(number, who=WANG, grid=A, begins=MAR, ends=None, of=None):
    return HandOver(term(number, grid, who, begins, ends), of)


HELD = term(0)  # Li is primary of A since January

# A command on that ground, and what becomes of each row: nothing is None, a refusal its class.
VERDICTS = [
    ([Assign(term(1, B))], [None]),
    ([Assign(term(1, A, WANG, MAR))], [PrimaryTaken]),
    ([Assign(term(1, A, WANG, begins=date(2025, 1, 1), ends=JAN))], [None]),  # before Li
    ([Assign(backup(1, WANG, 1))], [None]),
    ([Assign(term(1, THEIRS))], [NotFound]),
    ([Assign(term(1, B, STRANGER))], [NotFound]),
    ([Assign(term(1, B, ends=JAN))], [Invalid]),
    ([Assign(term(1, B, kind=MembershipKind.LOAN))], [Invalid]),  # a loan has an end
    ([Assign(HELD._replace(rank=2))], [SameIdOtherContent]),
    ([Assign(HELD)], [None]),  # known
    ([to(1)], [None]),
    ([to(1, grid=B)], [None]),  # a vacant grid
    ([to(1, of=LI)], [None]),
    ([to(1, of=ZHAO)], [OtherPredecessor]),
    ([to(1, grid=B, of=LI)], [OtherPredecessor]),
    ([to(1, who=LI)], [PrimaryTaken]),  # it is Li's already
    ([to(1, begins=JAN)], [None]),  # Li's beginning is taken back
    ([to(1, begins=date(2025, 12, 1))], [PrimaryTaken]),  # before Li, and into their time
    ([End(HELD.id, MAR)], [None]),
    ([End(HELD.id, date(2025, 12, 1))], [Invalid]),
    ([End(UUID(int=999), MAR)], [NotFound]),
    # The ends of a command come before its beginnings, wherever they stand.
    ([Assign(term(1, A, WANG, MAR)), End(HELD.id, MAR)], [None, None]),
    ([Assign(term(1, A, WANG, FEB)), End(HELD.id, MAR)], [PrimaryTaken, None]),
    ([End(HELD.id, MAR), to(1, begins=APR)], [None, None]),
    ([End(HELD.id, MAR), to(1, begins=MAR, of=LI)], [None, None]),
    # Rows of one command that get in each other's way; the first of them stands.
    ([End(HELD.id, MAR), End(HELD.id, APR)], [None, RowsCollide]),
    ([to(1), to(2, who=ZHAO)], [None, RowsCollide]),
    ([End(HELD.id, MAR), to(1, begins=FEB)], [None, RowsCollide]),
    ([Assign(HELD), to(1)], [None, RowsCollide]),
    ([to(1), to(2, who=ZHAO, begins=APR)], [None, RowsCollide]),
    ([to(1, ends=APR), to(2, who=ZHAO, begins=APR)], [None, None]),
    ([to(1), to(1, grid=B)], [None, RowsCollide]),
    ([to(1), Assign(term(1, A, WANG, MAR))], [None, RowsCollide]),
    # One refused row takes nothing from the others.
    ([Assign(term(1, B, STRANGER)), Assign(term(2, B, WANG))], [NotFound, None]),
]


@pytest.mark.parametrize(("rows", "verdicts"), VERDICTS)
def test_each_row_has_a_verdict_of_its_own(rows, verdicts):
    plan = judge(rows, ground(HELD))
    assert [type(one.problem) if one.problem else None for one in plan.rows] == verdicts
    assert [one.row for one in plan.rows] == rows


def test_a_handover_ends_one_and_begins_the_other_on_the_same_day():
    plan = judge([to(1)], ground(HELD))
    [one] = plan.rows
    assert plan.begins == [one.term] == [term(1, A, WANG, MAR)]
    assert plan.ends == {HELD.id: MAR}
    assert one.predecessor == HELD._replace(valid_to=MAR)


def test_an_end_that_there_is_already_is_not_put_off_by_a_handover():
    ending = HELD._replace(valid_to=FEB)
    plan = judge([to(1, begins=FEB)], ground(ending))
    assert plan.ends == {}
    assert plan.rows[0].predecessor == ending


@pytest.mark.parametrize(
    "rows",
    [
        [to(1), to(2, grid=B)],
        [End(HELD.id, MAR), Assign(term(1, A, WANG, MAR))],
        [Assign(backup(1, WANG, 1)), Assign(backup(2, ZHAO, 2))],
    ],
)
def test_what_was_done_once_is_known_the_second_time(rows):
    first = judge(rows, ground(HELD))
    again = judge(rows, ground(*first.terms.values()))
    assert all(one.known for one in again.rows)
    assert (again.begins, again.ends) == ([], {})
    assert [(one.term, one.predecessor) for one in again.rows] == [
        (one.term, one.predecessor) for one in first.rows
    ]


def test_an_id_that_stands_for_a_membership_of_others_is_refused():
    [one] = judge([to(1)], ground(HELD, elsewhere=[term(1, THEIRS)])).rows
    assert isinstance(one.problem, SameIdOtherContent)


def test_a_refusal_says_who_is_in_the_way():
    [one] = judge([Assign(term(1, A, WANG, MAR))], ground(HELD)).rows
    assert one.problem is not None and one.problem.facts["technician_code"] == "T1"
    [one] = judge([to(1, of=ZHAO)], ground(HELD)).rows
    assert one.problem is not None and one.problem.detail("en").startswith(
        "On 2026-03-01 its primary is 李师傅 (T1);"
    )


days = st.dates(JAN, MAY)
some_terms = st.builds(
    lambda number, grid, who, begins, ends, of, hand_over: (
        HandOver(term(number, grid, who, begins, ends), of)
        if hand_over
        else Assign(term(number, grid, who, begins, ends))
    ),
    st.integers(1, 12),
    st.sampled_from([A, B]),
    st.sampled_from([LI, WANG, ZHAO]),
    days,
    st.none() | days,
    st.none() | st.sampled_from([LI, WANG]),
    st.booleans(),
)
some_ends = st.builds(lambda n, day: End(UUID(int=100 + n), day), st.integers(0, 3), days)


@given(st.lists(some_terms | some_ends, min_size=1, max_size=12))
def test_whatever_is_asked_no_grid_ever_has_two_primaries(rows):
    held = [HELD, term(3, B, WANG, FEB, APR)]
    plan = judge(rows, ground(*held))
    primaries = [one for one in plan.terms.values() if one.kind is MembershipKind.PRIMARY]
    for n, one in enumerate(primaries):
        assert one.valid_to is None or one.valid_to >= one.valid_from
        for other in primaries[n + 1 :]:
            assert one.grid_id != other.grid_id or not one.meets(other)
    # What is written is what the plan says: the ends, then what begins.
    written = {one.id: one for one in held}
    for membership_id, day in plan.ends.items():
        written[membership_id] = written[membership_id]._replace(valid_to=day)
    written |= {one.id: one for one in plan.begins}
    assert written == plan.terms
    if not plan.refused:
        again = judge(rows, ground(*plan.terms.values()))
        assert not again.refused and all(one.known for one in again.rows)


# --- the order of backups -------------------------------------------------------------------------


def order(backups, *technician_ids, day=MAR):
    ids = iter(range(500, 600))
    return reordered(backups, technician_ids, day, names=NAMES, new_id=lambda: UUID(int=next(ids)))


def test_backups_that_began_before_go_on_under_a_new_rank():
    first, second = backup(1, LI, 1), backup(2, WANG, 2, ends=MAY)
    change = order([first, second], WANG, LI)
    assert change.ends == {first.id: MAR, second.id: MAR}
    assert change.ranks == {}
    assert change.begins == [
        first._replace(id=UUID(int=500), rank=2, valid_from=MAR),
        second._replace(id=UUID(int=501), rank=1, valid_from=MAR),
    ]


def test_backups_that_begin_later_only_get_their_rank():
    first, second = backup(1, LI, 1, begins=APR), backup(2, WANG, 2, begins=MAR)
    change = order([first, second], WANG, LI)
    assert (change.ranks, change.ends, change.begins) == ({first.id: 2, second.id: 1}, {}, [])


def test_the_same_order_again_changes_nothing():
    assert order([backup(1, LI, 1), backup(2, WANG, 2)], LI, WANG) == ({}, {}, [])


@pytest.mark.parametrize(
    ("named", "missing", "unknown"),
    [
        ([LI], ["T2"], []),
        ([LI, WANG, ZHAO], [], [str(ZHAO)]),
        ([LI, ZHAO], ["T2"], [str(ZHAO)]),
        ([LI, WANG, WANG], [], []),
    ],
)
def test_each_backup_is_named_once(named, missing, unknown):
    with pytest.raises(BackupsNotNamed) as refused:
        order([backup(1, LI, 1), backup(2, WANG, 2)], *named)
    assert refused.value.facts["backups"] == ["T1", "T2"]
    assert refused.value.facts["missing"] == missing
    assert refused.value.facts["unknown"] == unknown
