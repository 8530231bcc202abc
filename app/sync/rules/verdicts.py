"""What becomes of something that was done offline: a verdict, which is data and no failure."""

from datetime import datetime
from enum import StrEnum

from app.core.errors import Conflict, NotFound, Problem


class ActionVerdict(StrEnum):
    """What became of an action.

    `duplicate` is only said in the answer to a push: what is stored is the first verdict.
    """

    APPLIED = "applied"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    REFUSED = "refused"


class Judgement(StrEnum):
    """What a completion or a sale is worth that came after its order had gone to somebody else.

    It never moves the order, which is its new holder's by then. `before` was done, by the phone's
    clock, before the order was moved: the new holder should ask before setting out. `after` was
    done when the order was somebody else's already.
    """

    BEFORE = "before"
    AFTER = "after"


def verdict_on(problem: Problem) -> ActionVerdict:
    """Tell a collision with what others did meanwhile from what would never have been taken."""
    collides = isinstance(problem, Conflict | NotFound) and problem.status in (404, 409)
    return ActionVerdict.CONFLICT if collides else ActionVerdict.REFUSED


def judged(done_at: datetime, moved_at: datetime | None) -> Judgement:
    """Judge what came too late by when it was done (`done_at`, the phone's clock) and when the
    order was moved away (`moved_at`, the server's; None when that is not known)."""
    if moved_at is not None and done_at <= moved_at:
        return Judgement.BEFORE
    return Judgement.AFTER
