"""What happens in the middle of a day that calls for planning the rest of it anew."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters
from app.dispatch.rules.routes import Drive, Rule

REPLANS = Parameter(
    name="planning.replan_on_events",
    default=1,
    unit="yes/no",
    words=Words(
        zh="发生请假、超时等情况时是否自动重新规划当天余下的工单（1 是，0 否）",
        en="Whether leave, long visits and the like set off planning the rest of the day (1 yes,"
        " 0 no)",
    ),
    most=1,
)
SETTLE = Parameter(
    name="planning.event_settle_seconds",
    default=5,
    unit="s",
    words=Words(
        zh="发生情况后等待多久再重新规划，期间发生的一并处理",
        en="How long after an event planning waits for others, to deal with all of them at once",
    ),
    most=600,
)
LONG_SHARE = Parameter(
    name="planning.long_visit_percent",
    default=30,
    unit="%",
    words=Words(
        zh="上门超出预计工时多大比例视为超时",
        en="By which part of its estimate a visit is longer when it counts as a long one",
    ),
    most=1_000,
)
LONG_MINUTES = Parameter(
    name="planning.long_visit_minutes",
    default=20,
    unit="min",
    words=Words(
        zh="上门至少超出预计工时多久视为超时",
        en="By how much at least a visit is longer than its estimate when it counts as a long one",
    ),
    most=480,
)
LONG_AGAIN = Parameter(
    name="planning.long_visit_again_minutes",
    default=45,
    unit="min",
    words=Words(
        zh="同一次上门继续超时，每隔多久再重新规划一次",
        en="After how much longer a long visit calls for another plan",
    ),
    least=5,
    most=480,
)
URGENT = Parameter(
    name="planning.urgent_priority",
    default=2,
    unit="priority",
    words=Words(
        zh="优先级数值不大于多少的工单派不出时重新规划（0 为不重新规划）",
        en="Up to which priority an order that found nobody calls for a new plan (0: none does)",
    ),
    most=4,
)
CPU_SECONDS = Parameter(
    name="planning.replan_cpu_seconds",
    default=2,
    unit="s",
    words=Words(
        zh="一次重新规划使用多少处理器时间",
        en="How much processor time the search for a new plan takes",
    ),
    least=0.1,
    most=60,
)
ITERATIONS = Parameter(
    name="planning.replan_iterations",
    default=0,
    unit="iterations",
    words=Words(
        zh="一次重新规划按多少次迭代计（0 为按处理器时间计）；按迭代计时同样的输入得到同样的结果",
        en="How many iterations the search for a new plan takes (0: it goes by processor time);"
        " counted so, the same inputs give the same plan",
    ),
    most=10_000_000,
)
POLICY = Parameter(
    name="planning.replan_policy",
    default=0,
    unit="policy",
    words=Words(
        zh="重新规划的结果如何生效：0 由主管发布，1 自动发布，2 改动少且不影响预约客户时自动发布",
        en="How the result is applied: 0 a supervisor publishes it, 1 by itself, 2 by itself when"
        " few visits move and nothing gets worse for a customer with an appointment",
    ),
    most=2,
)
POLICY_MOST = Parameter(
    name="planning.replan_moves_at_most",
    default=10,
    unit="visits",
    words=Words(
        zh="策略 2 下自动发布最多可换人几单",
        en="How many visits may change hands when policy 2 publishes by itself",
    ),
    most=1_000,
)


class NotAReplan(Conflict):
    slug = "not-a-replan"
    title = Words(zh="不是当天的重新规划", en="This is no plan of the rest of a day")
    advice = Words(
        zh="规划 {plan_id} 为整日规划；请用规划比较查看其变动。",
        en="Plan {plan_id} is of a whole day; compare it to see what it changes.",
    )


class EventKind(StrEnum):
    """What has happened."""

    LEAVE = "leave"
    INACTIVE = "inactive"
    LONG_VISIT = "long_visit"
    URGENT_ORDER = "urgent_order"
    OUTAGE = "outage"
    BY_HAND = "by_hand"


EVENT_WORDS: dict[EventKind, Words] = {
    EventKind.LEAVE: Words(
        zh="{name}请假，当天还有 {orders} 单未完成",
        en="{name} is on leave with {orders} orders of the day still to do",
    ),
    EventKind.INACTIVE: Words(
        zh="{name}的账号已停用，当天还有 {orders} 单未完成",
        en="{name} is no longer active with {orders} orders of the day still to do",
    ),
    EventKind.LONG_VISIT: Words(
        zh="{name}在工单 {external_id} 已超出预计 {minutes} 分钟，后续 {orders} 单受影响",
        en="{name} is {minutes} minutes over the estimate at order {external_id}, and {orders}"
        " later ones suffer",
    ),
    EventKind.URGENT_ORDER: Words(
        zh="优先级 {priority} 的工单 {external_id} 无人可派（{why_zh}）",
        en="Order {external_id} of priority {priority} found nobody: {why_en}",
    ),
    EventKind.OUTAGE: Words(
        zh="{name_zh}确认为群障，{orders} 单暂停派单",
        en="{name_en} is an outage by now, and {orders} orders wait for its end",
    ),
    EventKind.BY_HAND: Words(zh="主管要求：{reason}", en="A supervisor asked for it: {reason}"),
}


def said(kind: EventKind, facts: Mapping[str, Any]) -> Words:
    """Say what has happened, in both languages."""
    words = EVENT_WORDS[kind]
    return Words(zh=words.zh.format_map(facts), en=words.en.format_map(facts))


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened in an org unit's local day.

    `key` tells it from others of its kind, so that it is dealt with once; it concerns a technician
    or an order, or both. `facts` are what its words need.
    """

    org_unit_id: UUID
    kind: EventKind
    key: str
    technician_id: UUID | None = None
    order_id: UUID | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)


def most_urgent(numbers: Parameters) -> int:
    """Up to which priority any org unit wants a plan for an order that found nobody."""
    dated = [rows for (name, _), rows in numbers.rows.items() if name == URGENT.name]
    return int(max([URGENT.default, *(value for rows in dated for _, value in rows)]))


def written(event: Happened) -> dict[str, Any]:
    """Write an event in plain values, as a plan keeps what it was made for."""
    return {
        "kind": event.kind.value,
        "org_unit_id": str(event.org_unit_id),
        "key": event.key,
        "technician_id": event.technician_id and str(event.technician_id),
        "order_id": event.order_id and str(event.order_id),
        "facts": dict(event.facts),
    }


def read(kept: Mapping[str, Any]) -> Happened:
    """Read an event as `written` has written it."""
    return Happened(
        UUID(kept["org_unit_id"]),
        EventKind(kept["kind"]),
        kept["key"],
        UUID(kept["technician_id"]) if kept["technician_id"] else None,
        UUID(kept["order_id"]) if kept["order_id"] else None,
        kept["facts"],
    )


def away(events: Iterable[Happened]) -> frozenset[UUID]:
    """Say who is away, or will be, by what has happened."""
    kinds = (EventKind.LEAVE, EventKind.INACTIVE)
    return frozenset(one.technician_id for one in events if one.kind in kinds and one.technician_id)


def behind(events: Iterable[Happened]) -> frozenset[UUID]:
    """Say whose visits take longer than was thought, by what has happened."""
    return frozenset(
        one.technician_id
        for one in events
        if one.kind is EventKind.LONG_VISIT and one.technician_id
    )


class OnSite(NamedTuple):
    """A visit that is going on: since when, and how many seconds were estimated. Unix seconds."""

    order_id: UUID
    technician_id: UUID
    org_path: str
    since: int
    seconds: int

    def over(self, now: datetime) -> int:
        """By how many seconds it is longer than its estimate; less than 0 while it is not."""
        return int(now.timestamp()) - self.since - self.seconds


def is_long(visit: OnSite, numbers: Parameters, now: datetime) -> bool:
    """Tell whether a visit is longer than its estimate by so much that others may suffer."""
    share = numbers.number(LONG_SHARE, now, visit.org_path) / 100
    least = numbers.number(LONG_MINUTES, now, visit.org_path) * 60
    return visit.over(now) >= max(share * visit.seconds, least)


def long_key(visit: OnSite, numbers: Parameters, now: datetime) -> str:
    """Name a long visit: another name each time it has gone on for much longer again."""
    stage = int(visit.over(now) // (numbers.number(LONG_AGAIN, now, visit.org_path) * 60))
    return f"{visit.order_id}/{visit.since}/{stage}"


class Going(NamedTuple):
    """How a day goes, and the moment (Unix seconds) at which its work has to end."""

    drive: Drive
    ends: int


def suffering(otherwise: Going, as_it_goes: Going) -> list[UUID]:
    """List the orders that become late, miss their appointment or do not fit into the day any
    more, by how a day goes and how it would go had nothing happened."""
    before = _missed(otherwise)
    return [order_id for order_id in _missed(as_it_goes) if order_id not in before]


def _missed(going: Going) -> list[UUID]:
    drive = going.drive
    missed = [one.order_id for one in drive.broken if one.order_id and one.rule is Rule.WINDOW]
    missed += [one.stop.order_id for one in drive.visits if one.late or one.end > going.ends]
    if drive.visits and any(one.rule is Rule.SHIFT for one in drive.broken):
        # The way home would be too long after the last one.
        missed.append(drive.visits[-1].stop.order_id)
    under_way = {one.stop.order_id for one in drive.visits if one.stop.under_way}
    return [order_id for order_id in dict.fromkeys(missed) if order_id not in under_way]


def why_said(events: Iterable[Happened]) -> Words:
    """Say why a plan was made, in both languages; the same thing is said once."""
    all_said = list(dict.fromkeys(said(one.kind, one.facts) for one in events))
    return Words(zh="；".join(one.zh for one in all_said), en="; ".join(one.en for one in all_said))
