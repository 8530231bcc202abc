"""Judging: what the other side says of an order, held against what is known of its delivery. Pure.

Whether it says so in an answer or in a callback, alone or among many, it is judged here; `settling`
and `hearing` write down what comes of it.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.ordering import rules
from app.ordering.delivery import SyncState
from app.ordering.order import RemoteOrder
from app.ordering.rules import RemoteState, Source, Verdict
from app.sales.rules import SaleState

_NOT_THERE_YET = frozenset({SyncState.WAITING, SyncState.SENDING, SyncState.PARKED})


class Again(StrEnum):
    """When a delivery is looked at again by itself."""

    AS_IT_WAS = "as_it_was"
    POLL = "poll"
    NOW = "now"
    NEVER = "never"


@dataclass(frozen=True)
class Known:
    """A delivery as far as an order of the other side has to be judged against it."""

    state: SyncState
    remote_id: str | None
    remote_href: str | None
    remote_state: RemoteState | None
    remote_state_at: datetime | None


@dataclass(frozen=True)
class Judged:
    """What an order of the other side makes of a delivery, and of its sale, if anything.

    Without a verdict it says no state; unless it `changes` anything, the delivery stays untouched.
    An order that has `ended` had not before. One beside the order that is known is a `double`.
    """

    after: Known
    verdict: Verdict | None
    arrived: bool
    again: Again
    news: SaleState | None
    changes: bool
    ended: bool = False
    double: bool = False


def judge(known: Known, seen: RemoteOrder, at: datetime | None, source: Source) -> Judged:
    """Judge what is said of an order; `at` is when it came to be so, as far as that is told."""
    if known.remote_id not in (None, seen.id):
        return Judged(known, Verdict.CONTRADICTS, False, Again.AS_IT_WAS, None, False, double=True)
    verdict = None
    if seen.state is not None:
        verdict = rules.follow(known.remote_state, known.remote_state_at, seen.state, at, source)
    partial = seen.state is RemoteState.PARTIAL and verdict is Verdict.MOVE
    asked_for = known.state is not SyncState.GIVEN_UP
    if partial and asked_for and source is Source.EVENT and not seen.item_states:
        # Which items are missing is told by the order itself.
        verdict = Verdict.LOOK
    arrived = known.state in _NOT_THERE_YET
    moved_to = seen.state if verdict is Verdict.MOVE else None
    remote_state = moved_to or known.remote_state
    state = SyncState.DELIVERED if arrived else known.state
    again = Again.AS_IT_WAS
    if state is SyncState.DELIVERED:
        again = Again.NOW if verdict is Verdict.LOOK else Again.POLL
    if remote_state in rules.TERMINAL:
        state, again = SyncState.FINISHED, Again.NEVER
    news = None
    if moved_to is not None:
        news = rules.sale_state_of(moved_to)
    elif arrived:
        news = SaleState.SENT
    after = Known(
        state,
        seen.id,
        known.remote_href if known.remote_id else seen.href,
        remote_state,
        at if moved_to is not None else known.remote_state_at,
    )
    changes = after != known or again in (Again.POLL, Again.NOW)
    return Judged(after, verdict, arrived, again, news, changes, ended=moved_to in rules.TERMINAL)
