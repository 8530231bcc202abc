"""A work order's states and steps in one table, and what may be refused and why."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.terminals.rules import TerminalKind
from app.worktypes.rules import WorkType


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
    PIN = "pin"
    UNPIN = "unpin"
    STOP_CLOCK = "stop_clock"
    START_CLOCK = "start_clock"
    NUDGE = "nudge"
    TRANSFER = "transfer"
    RESOLVE = "resolve"


# What the history tells of and no technician does at a door.
BESIDE = frozenset({Step.PIN, Step.UNPIN, Step.NUDGE, Step.STOP_CLOCK, Step.START_CLOCK})

# Every legal move. What is not here is refused with the state that was met. To pin an order to its
# holder, or to stop its clock, moves it nowhere; it is a step since the history tells of it.
MOVES: dict[tuple[State, Step], State] = {
    (State.RECEIVED, Step.LOCATE): State.LOCATED,
    (State.RECEIVED, Step.UNPLACE): State.UNPLACED,  # no point, or no grid around it
    (State.RECEIVED, Step.ASSIGN): State.ASSIGNED,  # by a supervisor's own hand
    (State.LOCATED, Step.ASSIGN): State.ASSIGNED,
    (State.LOCATED, Step.UNPLACE): State.UNPLACED,  # nobody able
    (State.UNPLACED, Step.LOCATE): State.LOCATED,  # a point was corrected, or people came on shift
    (State.UNPLACED, Step.ASSIGN): State.ASSIGNED,
    (State.UNPLACED, Step.UNPLACE): State.UNPLACED,  # tried again; the reason may differ
    (State.UNPLACED, Step.RESOLVE): State.COMPLETED,  # what it was about is over, without a visit
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
    # Passed on by its holder to a colleague, who has yet to take it on; at any point of the work.
    (State.ASSIGNED, Step.TRANSFER): State.ASSIGNED,
    (State.ACKNOWLEDGED, Step.TRANSFER): State.ASSIGNED,
    (State.EN_ROUTE, Step.TRANSFER): State.ASSIGNED,
    (State.ON_SITE, Step.TRANSFER): State.ASSIGNED,
    (State.SUSPENDED, Step.TRANSFER): State.ASSIGNED,
    (State.COMPLETED, Step.ARCHIVE): State.ARCHIVED,
}
# Until it is completed, an order can be cancelled by whoever sent it, and its customer can ask for
# it: a nudge moves it nowhere, it is a step since the history tells of it.
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
    MOVES[_state, Step.NUDGE] = _state

WAITING = frozenset({State.RECEIVED, State.LOCATED, State.UNPLACED})
HELD = frozenset(
    {State.ASSIGNED, State.ACKNOWLEDGED, State.EN_ROUTE, State.ON_SITE, State.SUSPENDED}
)
UNDER_WAY = frozenset({State.EN_ROUTE, State.ON_SITE})
CLOSED = frozenset({State.COMPLETED, State.ARCHIVED, State.CANCELLED})


class Sender(NamedTuple):
    """Who sends orders: its subtree bounds where they can go; no account is the command line."""

    account_id: UUID | None
    org_unit_id: UUID
    org_path: str


@dataclass(frozen=True, slots=True)
class Draft:
    """An order as a source sends it; the point is in WGS-84 degrees, moments are aware.

    `content_hash` stands for everything in it but the id: the same order sent again has the same.
    `hold_id` names the slot that is held for it; of each of `terminals` one is fitted.
    `same_visit` says that it was sold in a visit and is to be installed before that one leaves.
    """

    source: str
    external_id: str
    content_hash: str
    work_type: WorkType
    address: str
    summary: str
    reported_at: datetime
    priority: int = 3
    id: UUID | None = None
    org_unit_code: str | None = None
    customer_code: str | None = None
    service_number: str | None = None
    contact_name: str | None = None
    contact_phone: str | None = None
    locality: str | None = None
    lon: float | None = None
    lat: float | None = None
    skills: tuple[str, ...] = ()
    terminals: tuple[TerminalKind, ...] = ()
    estimated_minutes: int | None = None
    appointment_from: datetime | None = None
    appointment_until: datetime | None = None
    hold_id: UUID | None = None
    same_visit: bool = False


class StepRefused(Conflict):
    slug = "step-refused"
    title = Words(zh="工单当前状态不能执行该步骤", en="This order is not ready for that step")
    advice = Words(
        zh="工单现为 {state}，不能执行 {step}；可执行：{allowed}。",
        en="The order is {state}, so {step} is refused; allowed now: {allowed}.",
    )


class OneAtATime(Conflict):
    slug = "one-order-at-a-time"
    title = Words(zh="一次只能处理一个工单", en="One order at a time")
    advice = Words(
        zh="您有另一张工单正在途中或上门处理中，请先完成、挂起或退回它。",
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
    NO_STOCK = "no_stock"
    NO_MINUTES_LEFT = "no_minutes_left"
    WINDOW_UNREACHABLE = "window_unreachable"
    TAKEN_BACK = "taken_back"
    OUTAGE = "outage"


UNPLACED_WORDS: dict[UnplacedReason, Words] = {
    UnplacedReason.NO_POINT: Words(zh="没有坐标", en="it has no point"),
    UnplacedReason.SHARED_POINT: Words(
        zh="坐标疑为地址库默认点", en="its point is shared by many unrelated orders"
    ),
    UnplacedReason.NO_GRID: Words(zh="坐标不在任何网格内", en="its point lies in no grid"),
    UnplacedReason.NOBODY_ASSIGNED: Words(
        zh="网格及相邻网格均无人负责", en="nobody looks after its grid or the neighbouring ones"
    ),
    UnplacedReason.ALL_DECLINED: Words(
        zh="可派人员均已拒单或退单", en="everybody able has declined or handed it back"
    ),
    UnplacedReason.NOBODY_WITH_SKILL: Words(
        zh="无人具备所需技能", en="nobody has the skills it needs"
    ),
    UnplacedReason.NOBODY_ON_SHIFT: Words(zh="可派日期内无人当班", en="nobody is on shift in time"),
    UnplacedReason.NO_STOCK: Words(
        zh="可派人员车上没有所需终端", en="nobody who could do it has its terminals in the van"
    ),
    UnplacedReason.NO_MINUTES_LEFT: Words(zh="工时均已排满", en="nobody has enough minutes left"),
    UnplacedReason.WINDOW_UNREACHABLE: Words(
        zh="无人赶得上预约时段", en="nobody can keep its appointment"
    ),
    UnplacedReason.TAKEN_BACK: Words(
        zh="已由班长收回", en="a supervisor has taken it back from its holder"
    ),
    UnplacedReason.OUTAGE: Words(
        zh="属于群障，正在统一抢修", en="it belongs to an outage that is worked on as one"
    ),
}


def move(state: State, step: Step) -> State:
    """Say where a step leads. Raises StepRefused when it is not allowed in that state."""
    then = MOVES.get((state, step))
    if then is None:
        raise StepRefused(state=state, step=step, allowed=allowed(state))
    return then


def allowed(state: State) -> list[str]:
    """List the steps that are legal in a state, in the order of the table."""
    return [step.value for (at, step) in MOVES if at is state]


# --- what makes an order more urgent --------------------------------------------------------------

REPEAT_DAYS = Parameter(
    "workorders.repeat_days",
    default=7.0,
    unit="days",
    words=Words(
        "同一业务完工后多少天内再次申告算重复障碍",
        "A fault reported within so long after work on the same service was closed is a repeat",
    ),
    most=365.0,
)
REPEAT_RAISES = Parameter(
    "workorders.repeat_raises",
    default=1.0,
    unit="yes/no",
    words=Words(
        "重复障碍是否提高一级优先级（1 是，0 否）",
        "Whether a repeat fault is one priority more urgent than it was sent (1 yes, 0 no)",
    ),
    most=1.0,
)
NUDGE_LIMIT = Parameter(
    "workorders.nudge_limit",
    default=2.0,
    unit="priority",
    words=Words(
        "催单最多把优先级提高到几级（1 最紧急）",
        "The priority that nudges raise an order to at most (1 is the most urgent)",
    ),
    least=1.0,
    most=4.0,
)
NUDGE_MINUTES = Parameter(
    "workorders.nudge_minutes",
    default=60.0,
    unit="min",
    words=Words(
        "多长时间内的多次催单只提高一次优先级",
        "Of all nudges within so long only one makes an order more urgent",
    ),
    most=10_080.0,
)
URGENT = 1


def raised(priority: int, most: int = URGENT) -> int:
    """Make a priority one more urgent, but no more than `most`; 1 is the most urgent."""
    return max(most, priority - 1) if priority > most else priority


def nudged(
    priority: int, last_raised: datetime | None, now: datetime, *, apart: timedelta, most: int
) -> int:
    """Say how urgent a nudge makes an order: of several within a short time only one counts."""
    if last_raised is not None and now - last_raised < apart:
        return priority
    return raised(priority, most)


# Where an address begins to name a single home: what follows the building is cut off.
_BUILDING = re.compile(r"^(.*?\d+\s*(?:号楼|栋|幢|座))")
_HOME = re.compile(
    r"[\s,,]*(?:\d+\s*单元.*|[A-Za-z0-9-]+\s*室.*|(?:apt|apartment|unit|room|rm|suite|ste|#)\b.*|#.*)$",
    re.IGNORECASE,
)


def masked_address(address: str) -> str:
    """Reduce an address to its building: 幸福路5号8栋2单元301室 becomes 幸福路5号8栋*."""
    building = _BUILDING.match(address)
    shown = building.group(1) if building else _HOME.sub("", address)
    return shown if shown == address else f"{shown}*"


class SameOrderOtherContent(Conflict):
    slug = "same-order-other-content"
    title = Words(
        zh="同一外部工单号已用于不同内容", en="This external id already stands for other content"
    )
    advice = Words(
        zh="来源 {source} 的工单 {external_id} 已存在且内容不同；如为新工单请使用新的外部工单号。",
        en="Order {external_id} of {source} is known with other content; a new order needs a new "
        "external id.",
    )


class UnknownOrgUnit(Invalid):
    slug = "unknown-org-unit"
    title = Words(zh="组织编码不存在", en="No such org unit")
    advice = Words(
        zh="组织 {code} 不存在，或不在您的管辖范围内。",
        en="The org unit {code} does not exist, or it is not within your area.",
    )
