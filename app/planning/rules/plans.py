"""What a plan of a day is and what may be done with it."""

from enum import StrEnum


class PlanKind(StrEnum):
    """What a plan is made for."""

    DAY = "day"  # a whole day, mostly the evening before or early in the morning
    EVENT = "event"  # the rest of a day, after something has happened


class PlanState(StrEnum):
    """Where a plan stands."""

    WAITING = "waiting"
    RUNNING = "running"
    DRAFT = "draft"
    PUBLISHED = "published"
    REPLACED = "replaced"  # by a plan that was published later
    DISCARDED = "discarded"
    FAILED = "failed"


UNDER_WAY = frozenset({PlanState.WAITING, PlanState.RUNNING})
