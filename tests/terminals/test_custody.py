"""Chains of custody, pure: what may follow what, and a chain that never forks."""

from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from app.core.cells import NotReadable
from app.terminals.rules import (
    MOVES,
    UNDOABLE,
    Handling,
    Link,
    MovedSince,
    MoveNotAllowed,
    Place,
    Pool,
    allowed,
    moved,
    serial_number,
    undone,
)

UNIT, OTHER_UNIT, ANNA, BEN, HOME = (UUID(int=number) for number in range(1, 6))


def place(pool, technician=ANNA):
    return Place(
        pool,
        UNIT,
        technician_id=technician if pool in (Pool.VAN, Pool.RECOVERED) else None,
        customer_id=HOME if pool is Pool.CUSTOMER else None,
    )


@pytest.mark.parametrize("handling", [one for one in Handling if one is not Handling.LOAD])
@pytest.mark.parametrize("before", [None, *Pool])
def test_what_the_table_does_not_name_is_refused(before, handling):
    there = MOVES.get((before, handling), frozenset())
    for after in Pool:
        start = place(before) if before else None
        if after in there:
            assert moved("A", start, handling, place(after, BEN)) == place(after, BEN)
        else:
            with pytest.raises(MoveNotAllowed) as refused:
                moved("A", start, handling, place(after, BEN))
            assert refused.value.facts["allowed"] == [one.value for one in allowed(before)]


def test_a_file_may_say_that_a_terminal_is_anywhere():
    for before in (None, *map(place, Pool)):
        for after in Pool:
            assert moved("A", before, Handling.LOAD, place(after)) == place(after)


def test_what_lies_at_the_depot_is_not_handed_in_once_more():
    depot = Place(Pool.RECOVERED, UNIT)
    assert moved("A", place(Pool.RECOVERED), Handling.HAND_IN, depot) == depot
    with pytest.raises(MoveNotAllowed):
        moved("A", depot, Handling.HAND_IN, depot)


@pytest.mark.parametrize(
    "wrong",
    [
        {"pool": Pool.VAN},
        {"pool": Pool.WAREHOUSE, "technician_id": ANNA},
        {"pool": Pool.VAN, "technician_id": ANNA, "customer_id": HOME},
        {"pool": Pool.LOST, "service_number": "0731"},
    ],
)
def test_nobody_has_a_terminal_in_a_pool_where_nobody_can(wrong):
    with pytest.raises(ValueError, match="nobody can have"):
        Place(org_unit_id=UNIT, **wrong)


@pytest.mark.parametrize(
    ("at", "asked", "here"),
    [
        ((HOME, None), (HOME, "1"), True),
        ((HOME, "2"), (HOME, "1"), True),
        ((HOME, "1"), (BEN, "1"), False),
        ((None, "1"), (HOME, "1"), True),
        ((None, "1"), (None, None), False),
        ((None, None), (None, None), False),
    ],
)
def test_a_customer_is_known_by_id_or_by_the_lines_number(at, asked, here):
    stands = Place(Pool.CUSTOMER, UNIT, customer_id=at[0], service_number=at[1])
    assert stands.of_customer(*asked) is here


@pytest.mark.parametrize(
    ("scanned", "stored"),
    [
        ("hwtc8f21a9c4", "HWTC8F21A9C4"),
        (" HWTC 8F21 A9C4 ", "HWTC8F21A9C4"),
        ("SN: HWTC8F21A9C4", "HWTC8F21A9C4"),
        ("s/n=HWTC8F21A9C4", "HWTC8F21A9C4"),
        ("GPON SN:HWTC8F21A9C4", "HWTC8F21A9C4"),
        ("序列号：hwtc8f21a9c4", "HWTC8F21A9C4"),
        ("ＳＮ：ＨＷＴＣ８Ｆ", "HWTC8F"),
        ("Serial No. : HW-1", "HW-1"),
        # A number may itself begin with what stands on labels.
        ("SN123456", "SN123456"),
        ("GPON-1", "GPON-1"),
    ],
)
def test_a_serial_number_is_written_in_one_way(scanned, stored):
    assert serial_number(scanned) == stored
    assert serial_number(stored) == stored


@pytest.mark.parametrize("scanned", ["", "SN:", "A" * 65, "HW;MAC=1", "a\x00b"])
def test_what_is_no_serial_number_is_refused(scanned):
    with pytest.raises(NotReadable):
        serial_number(scanned)


PLACES = [place(pool, who) for pool in Pool for who in (ANNA, BEN)] + [Place(Pool.RECOVERED, UNIT)]


class Chain(RuleBasedStateMachine):
    """One serial number and all that may happen to it."""

    @initialize(begins=st.sampled_from([None, *PLACES]))
    def begin(self, begins):
        self.links = []
        self.taken_back = set()
        self.now = None
        if begins is not None:
            self.go(Handling.LOAD, begins)

    def go(self, handling, after):
        self.links.append(Link(len(self.links) + 1, handling, self.now, after))
        self.now = after

    @rule(handling=st.sampled_from(list(Handling)), after=st.sampled_from(PLACES))
    def handle(self, handling, after):
        was = self.now
        try:
            self.go(handling, moved("A", was, handling, after))
        except MoveNotAllowed:
            assert self.now is was
            pool = was.pool if was else None
            assert (
                handling not in allowed(pool)
                or after.pool not in MOVES[pool, handling]
                or handling is Handling.HAND_IN
            )

    @rule(data=st.data())
    def take_back(self, data):
        if not self.links:
            return
        link = data.draw(st.sampled_from(self.links))
        try:
            after = undone("A", self.links, link.number)
        except MovedSince:
            assert link is not self.links[-1] or link.handling not in UNDOABLE
            return
        assert link is self.links[-1]
        assert link.number not in self.taken_back
        if link.before is None:
            assert after.pool is Pool.VOID
        else:
            assert after == link.before
        self.taken_back.add(link.number)
        self.go(Handling.UNDO, after)

    @invariant()
    def it_is_where_its_last_move_brought_it_and_no_move_is_missing(self):
        links = getattr(self, "links", [])
        assert [link.number for link in links] == list(range(1, len(links) + 1))
        for earlier, later in pairwise(links):
            assert later.before == earlier.after
        if links:
            assert links[-1].after == self.now
            assert (self.now.technician_id is None) or (self.now.customer_id is None)


TestChain = Chain.TestCase
TestChain.settings = settings(max_examples=40, stateful_step_count=30)
