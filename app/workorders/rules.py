"""A work order's states and steps in one table, its clocks, and what may be refused and why."""

from datetime import datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from app.core.errors import Conflict
from app.core.i18n import Words


class WorkType(StrEnum):
    """What is to be done at the door."""

    INSTALL = "install"
    RELOCATE = "relocate"
    REMOVE = "remove"
    REPAIR = "repair"
    CARE = "care"


class State(StrEnum):
    """Where a work order stands."""

    RECEIVED = "received"
    LOCATED = "located"
    UNPLACED = "unplaced"
    ASSIGNED = "assigned"
    ACKNOWLEDGED = "acknowledged"
    EN_ROUTE = "en_route"
    ON_SITE = "on_site"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What can be done to a work order."""

    LOCATE = "locate"
    ASSIGN = "assign"
    UNPLACE = "unplace"
    ACKNOWLEDGE = "acknowledge"
    DECLINE = "decline"
    TRAVEL = "travel"
    CHECK_IN = "check_in"
    SUSPEND = "suspend"
    RESUME = "resume"
    RESTORE = "restore"
    COMPLETE = "complete"
    HAND_BACK = "hand_back"
    CANCEL = "cancel"
    ARCHIVE = "archive"


# Every legal move. What is not here is refused with the state that was met.
MOVES: dict[tuple[State, Step], State] = {
    (State.RECEIVED, Step.LOCATE): State.LOCATED,
    (State.RECEIVED, Step.UNPLACE): State.UNPLACED,  # no point, or no grid around it
    (State.LOCATED, Step.ASSIGN): State.ASSIGNED,
    (State.LOCATED, Step.UNPLACE): State.UNPLACED,  # nobody able
    (State.UNPLACED, Step.LOCATE): State.LOCATED,  # a point was corrected, or people came on shift
    (State.UNPLACED, Step.ASSIGN): State.ASSIGNED,  # by a supervisor's own hand
    (State.UNPLACED, Step.UNPLACE): State.UNPLACED,  # tried again; the reason may differ
    (State.ASSIGNED, Step.ASSIGN): State.ASSIGNED,  # reassign, before anybody set out
    (State.ASSIGNED, Step.UNPLACE): State.UNPLACED,  # its point turned out to be a stand-in
    (State.ASSIGNED, Step.ACKNOWLEDGE): State.ACKNOWLEDGED,
    (State.ASSIGNED, Step.DECLINE): State.LOCATED,
    (State.ACKNOWLEDGED, Step.ASSIGN): State.ASSIGNED,
    (State.ACKNOWLEDGED, Step.UNPLACE): State.UNPLACED,
    (State.ACKNOWLEDGED, Step.TRAVEL): State.EN_ROUTE,
    (State.ACKNOWLEDGED, Step.HAND_BACK): State.LOCATED,
    (State.EN_ROUTE, Step.CHECK_IN): State.ON_SITE,
    (State.EN_ROUTE, Step.HAND_BACK): State.LOCATED,
    (State.ON_SITE, Step.SUSPEND): State.SUSPENDED,
    (State.ON_SITE, Step.RESTORE): State.ON_SITE,  # the service works again; offers may follow
    (State.ON_SITE, Step.COMPLETE): State.COMPLETED,
    (State.ON_SITE, Step.HAND_BACK): State.LOCATED,  # nobody home, part missing
    (State.SUSPENDED, Step.RESUME): State.ON_SITE,
    (State.SUSPENDED, Step.HAND_BACK): State.LOCATED,
    (State.COMPLETED, Step.ARCHIVE): State.ARCHIVED,
}
# Until it is completed, an order can be cancelled by whoever sent it.
for _state in (
    State.RECEIVED,
    State.LOCATED,
    State.UNPLACED,
    State.ASSIGNED,
    State.ACKNOWLEDGED,
    State.EN_ROUTE,
    State.ON_SITE,
    State.SUSPENDED,
):
    MOVES[_state, Step.CANCEL] = State.CANCELLED

WAITING = frozenset({State.RECEIVED, State.LOCATED, State.UNPLACED})
HELD = frozenset(
    {State.ASSIGNED, State.ACKNOWLEDGED, State.EN_ROUTE, State.ON_SITE, State.SUSPENDED}
)
UNDER_WAY = frozenset({State.EN_ROUTE, State.ON_SITE})
CLOSED = frozenset({State.COMPLETED, State.ARCHIVED, State.CANCELLED})


class StepRefused(Conflict):
    slug = "step-refused"
    title = Words(zh="工单当前状态不能执行该步骤", en="This order is not ready for that step")
    advice = Words(
        zh="工单现为 {state},不能执行 {step};可执行:{allowed}。",
        en="The order is {state}, so {step} is refused; allowed now: {allowed}.",
    )


class OneAtATime(Conflict):
    slug = "one-order-at-a-time"
    title = Words(zh="一次只能处理一个工单", en="One order at a time")
    advice = Words(
        zh="您有另一张工单正在途中或上门处理中,请先完成、挂起或退回它。",
        en="Another order of yours is under way; complete, suspend or hand it back first.",
    )


class UnplacedReason(StrEnum):
    """Why nobody has the order; each is shown in the supervisor's queue."""

    NO_POINT = "no_point"
    SHARED_POINT = "shared_point"
    NO_GRID = "no_grid"
    NOBODY_ASSIGNED = "nobody_assigned"
    ALL_DECLINED = "all_declined"
    NOBODY_WITH_SKILL = "nobody_with_skill"
    NOBODY_ON_SHIFT = "nobody_on_shift"
    NO_MINUTES_LEFT = "no_minutes_left"
    WINDOW_UNREACHABLE = "window_unreachable"


def move(state: State, step: Step) -> State:
    """Say where a step leads. Raises StepRefused when it is not allowed in that state."""
    then = MOVES.get((state, step))
    if then is None:
        raise StepRefused(state=state, step=step, allowed=allowed(state))
    return then


def allowed(state: State) -> list[str]:
    """List the steps that are legal in a state, in the order of the table."""
    return [step.value for (at, step) in MOVES if at is state]


def due_at(
    reported_at: datetime,
    zone: ZoneInfo,
    *,
    cut_off: time | None,
    due_time: time,
    hours_after: float,
) -> datetime:
    """Say until when a promise rule wants an order done.

    An order reported before `cut_off` (local time of `zone`) is due the same day at `due_time`;
    a later one, or any when there is no cut-off, is due `hours_after` hours after the report.
    The answer is aware, in the zone of `reported_at`.
    """
    local = reported_at.astimezone(zone)
    if cut_off is not None and local.time() < cut_off:
        same_day = local.replace(
            hour=due_time.hour, minute=due_time.minute, second=0, microsecond=0
        )
        return same_day.astimezone(reported_at.tzinfo)
    return reported_at + timedelta(hours=hours_after)
