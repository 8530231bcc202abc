"""What a plan of the rest of a day says: what changes, why, and whether it applies by itself."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.planning.rules.changes import (
    ALWAYS,
    NEVER,
    WHEN_LITTLE,
    Change,
    ChangeKind,
    Spot,
    Why,
    applies,
    counted,
    why_of,
)
from app.planning.rules.events import EventKind, Happened

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
LI, WANG, ZHAO = (UUID(int=number) for number in (1, 2, 3))
UNIT = UUID(int=9)


def spot(who=LI, minutes=0, late=0):
    """A place at somebody's, so many minutes after noon."""
    return Spot(who, NOON + timedelta(minutes=minutes), late)


OUT = Spot(LI, None, 0)  # held by somebody who cannot do it


def change(before, after, *, booked=False, number=7):
    return Change(UUID(int=number), booked, before, after)


@pytest.mark.parametrize(
    ("before", "after", "kind", "becomes_late", "becomes_in_time", "worse"),
    [
        (spot(), spot(), None, False, False, False),
        (spot(), spot(minutes=9), None, False, False, False),
        (spot(), spot(minutes=-10), ChangeKind.SHIFTED, False, False, False),
        (spot(), spot(minutes=10), ChangeKind.SHIFTED, False, False, False),
        (spot(), spot(WANG), ChangeKind.MOVED, False, False, False),
        (spot(late=60), spot(WANG), ChangeKind.MOVED, False, True, False),
        (spot(), spot(WANG, late=60), ChangeKind.MOVED, True, False, True),
        (spot(late=60), spot(late=90), None, False, False, True),
        (OUT, spot(WANG), ChangeKind.MOVED, False, True, False),
        (OUT, spot(WANG, late=60), ChangeKind.MOVED, False, False, False),
        (OUT, spot(), ChangeKind.SHIFTED, False, True, False),
        (OUT, None, ChangeKind.LEFT_OUT, False, False, False),
        (spot(), None, ChangeKind.LEFT_OUT, True, False, True),
        (None, spot(), ChangeKind.PLACED, False, True, False),
        (None, None, ChangeKind.STILL_OUT, False, False, False),
    ],
)
def test_what_becomes_of_an_order(before, after, kind, becomes_late, becomes_in_time, worse):
    one = change(before, after)
    assert one.kind is kind
    assert (one.becomes_late, one.becomes_in_time) == (becomes_late, becomes_in_time)
    assert one.worse is worse


AWAY = Happened(UNIT, EventKind.LEAVE, "leave", LI)
BEHIND = Happened(UNIT, EventKind.LONG_VISIT, "visit", WANG, UUID(int=5))
URGENT = Happened(UNIT, EventKind.URGENT_ORDER, "order", order_id=UUID(int=7))


@pytest.mark.parametrize(
    ("before", "events", "why"),
    [
        (spot(LI), [AWAY, BEHIND], Why.AWAY),
        (spot(WANG), [AWAY, BEHIND], Why.BEHIND),
        (spot(ZHAO), [AWAY, BEHIND], Why.MAKES_ROOM),
        (None, [AWAY], Why.HAD_NOBODY),
        (None, [URGENT], Why.URGENT),
        (spot(ZHAO), [], Why.MAKES_ROOM),
    ],
)
def test_why_an_order_changes(before, events, why):
    assert why_of(change(before, spot(WANG)), events) is why


def test_the_others_are_counted_apart():
    changes = [
        change(OUT, spot(WANG), number=1),  # of the one who is away
        change(spot(LI), None, number=2),
        change(spot(WANG), spot(ZHAO), number=3),  # another's, moved
        change(spot(ZHAO), spot(ZHAO), number=4),
        change(None, spot(ZHAO), number=5),
    ]
    counts = counted(changes, [AWAY])
    assert (counts.visits, counts.moved, counts.others, counts.others_moved) == (5, 2, 2, 1)
    assert (counts.placed, counts.left_out, counts.become_late, counts.become_in_time) == (
        1,
        1,
        1,
        2,
    )


MOVES = [change(OUT, spot(WANG), number=number) for number in range(3)]


@pytest.mark.parametrize(
    ("policy", "most", "changes", "applied"),
    [
        (NEVER, 100, MOVES, False),
        (ALWAYS, 0, MOVES, True),
        (ALWAYS, 0, [change(spot(), spot())], False),  # nothing changes
        (ALWAYS, 0, [change(None, None)], False),
        (WHEN_LITTLE, 3, MOVES, True),
        (WHEN_LITTLE, 2, MOVES, False),
        (WHEN_LITTLE, 3, [*MOVES, change(spot(), spot(late=1), booked=True)], False),
        (WHEN_LITTLE, 3, [*MOVES, change(spot(), spot(late=1))], True),  # nobody booked it
        (WHEN_LITTLE, 4, [*MOVES, change(spot(), None, booked=True)], False),
        (WHEN_LITTLE, 4, [*MOVES, change(OUT, None, booked=True)], True),  # it was lost before
    ],
)
def test_when_a_plan_is_applied_by_itself(policy, most, changes, applied):
    assert applies(policy, most, changes) is applied
