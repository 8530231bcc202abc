"""What is asked of slots, and what is answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from app.dispatch.rules.capacity import Grade
from app.dispatch.rules.slots import NotOffered, Slot
from app.worktypes.rules import WorkType


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What somebody asks slots for: work at a place given in one of four ways.

    An order brings its place, work, minutes, skills and promise with it. The point is lon and lat
    in WGS-84 degrees; moments are aware; `activation` is a sale on site that is to be live soon.
    """

    point: tuple[float, float] | None = None
    grid_id: UUID | None = None
    customer_code: str | None = None
    order_id: UUID | None = None
    work_type: WorkType | None = None
    minutes: int | None = None
    skills: frozenset[str] = frozenset()
    priority: int = 3
    reported_at: datetime | None = None
    earliest: datetime | None = None
    later_agreed: bool = False
    activation: bool = False


class Need(NamedTuple):
    """What one piece of work takes: minutes, skills, and one of each kind of `terminals`."""

    minutes: int
    skills: frozenset[str] = frozenset()
    terminals: tuple[str, ...] = ()


class Offer(NamedTuple):
    """A slot with its grade, or why it is not offered; minutes of those who may come then."""

    slot: Slot
    grade: Grade | None
    why: NotOffered | None
    minutes: float
    free: float
    close_by: bool
    beyond_promise: bool
    valid_until: datetime | None
