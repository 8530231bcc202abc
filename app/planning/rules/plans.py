"""What a plan of a day is and what may be done with it."""

from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter


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


class LeftReason(StrEnum):
    """Why publishing left an order as it was."""

    CLOSED = "closed"
    UNDER_WAY = "under_way"
    CHANGED = "changed"
    PINNED = "pinned"
    WINDOW_CHANGED = "window_changed"
    AWAY = "away"
    APPOINTMENTS = "appointments"
    NO_STOCK = "no_stock"


LEFT_WORDS: dict[LeftReason, Words] = {
    LeftReason.CLOSED: Words(zh="工单已完成或取消", en="it is completed or cancelled by now"),
    LeftReason.UNDER_WAY: Words(zh="已有人在途或上门", en="somebody has set out for it by now"),
    LeftReason.CHANGED: Words(
        zh="规划之后已改派、改期或状态有变",
        en="who holds it, on which day, or its state has changed since the plan was made",
    ),
    LeftReason.PINNED: Words(zh="已由人工固定给他人", en="somebody has fixed it to another person"),
    LeftReason.WINDOW_CHANGED: Words(
        zh="预约时段已变更", en="its appointment is at another time by now"
    ),
    LeftReason.AWAY: Words(
        zh="计划的人员届时不在岗", en="whom the plan gives it to is not at work then any more"
    ),
    LeftReason.APPOINTMENTS: Words(
        zh="计划的人员已另有预约", en="whom the plan gives it to has got another appointment since"
    ),
    LeftReason.NO_STOCK: Words(
        zh="计划的人员车上已没有所需终端",
        en="whom the plan gives it to has not got its terminals in the van any more",
    ),
}

SECONDS_AN_ORDER = Parameter(
    name="planning.cpu_seconds_an_order",
    default=0.0055,
    unit="s",
    words=Words(
        zh="未指定时每张工单用多少处理器秒规划",
        en="Processor time a plan takes for each order when none is asked for",
    ),
    least=0.0001,
    most=1.0,
)
INPUTS_KEPT_DAYS = Parameter(
    name="planning.inputs_kept_days",
    default=90,
    unit="days",
    words=Words(
        zh="规划所依据的数据保留多少天，其间可按原样重新计算",
        en="How long what a plan was made from is kept, so that it can be made again",
    ),
    least=1,
    most=3_650,
)
LEAST_SECONDS, MOST_SECONDS = 1.0, 600.0
"""Bounds of the processor time of a plan."""
FARTHEST_DAYS = 60


class PlanUnderWay(Conflict):
    slug = "plan-under-way"
    title = Words(zh="该日已有规划在进行", en="This day is being planned already")
    advice = Words(
        zh="规划 {plan_id}（{org_unit}）尚未结束；请等待其完成，或先停止它。",
        en="Plan {plan_id} of {org_unit} is not done; wait for it, or stop it first.",
    )


class PlanNotReady(Conflict):
    slug = "plan-not-ready"
    title = Words(zh="规划当前状态不能执行此操作", en="The plan is not in a state for this")
    advice = Words(
        zh="规划现为 {state}；需要 {needs}。",
        en="The plan is {state}; this needs one that is {needs}.",
    )


class PlanOver(Conflict):
    slug = "plan-over"
    title = Words(zh="规划的日期已过", en="The plan's day is over")
    advice = Words(
        zh="{day} 已经过去；请规划今天或以后的日期。",
        en="{day} is over; plan today or a later day.",
    )


class PlansOfDifferentDays(Conflict):
    slug = "plans-of-different-days"
    title = Words(zh="两个规划不可比较", en="These plans cannot be compared")
    advice = Words(
        zh="只能比较同一组织同一天的规划。", en="Compare plans of the same org unit and day."
    )
