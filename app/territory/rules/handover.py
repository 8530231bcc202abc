"""Who hands a grid over to whom on a day, and who else looks after it."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from app.grids.rules import MembershipKind
from app.grids.rules.terms import Term


class Part(StrEnum):
    """Which part somebody has in handovers on a day."""

    SUCCESSOR = "successor"
    PREDECESSOR = "predecessor"


class Holder(StrEnum):
    """Who has an open order of a grid that is handed over."""

    NOBODY = "nobody"
    PREDECESSOR = "predecessor"
    SOMEBODY_ELSE = "somebody_else"


class Parties(NamedTuple):
    """The primary until a day, the one from that day on, and who else looks after the grid then."""

    predecessor: Term | None
    successor: Term | None
    others: list[Term]


def parties(terms: Sequence[Term], day: date) -> Parties:
    """Say who hands over to whom on a local day, by a grid's memberships that end then or later.

    Without a successor the predecessor is whoever is primary on that day. The others are backups
    and loans of that day, loans first, backups in the order of asking.
    """
    primaries = [
        one
        for one in terms
        if one.kind is MembershipKind.PRIMARY and one.valid_from != one.valid_to
    ]
    before = [one for one in primaries if one.valid_from < day]
    return Parties(
        predecessor=max(before, key=lambda one: one.valid_from, default=None),
        successor=next((one for one in primaries if one.valid_from == day), None),
        others=sorted(
            (one for one in terms if one.kind is not MembershipKind.PRIMARY and one.holds_on(day)),
            key=lambda one: (
                one.kind is MembershipKind.BACKUP,
                one.rank,
                one.valid_from,
                one.technician_id,
            ),
        ),
    )


class OrderFigures(NamedTuple):
    """How many open orders a grid has: those nobody has, the predecessor's, and others'.

    Of all of them `appointments` are agreed with the customer and `overdue` are late; the next is
    due at `next_due_at` (UTC).
    """

    waiting: int = 0
    with_predecessor: int = 0
    with_others: int = 0
    appointments: int = 0
    overdue: int = 0
    next_due_at: datetime | None = None
