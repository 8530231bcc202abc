"""Rules of recovery: what is no longer needed at a customer's, and who may fetch it when."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.terminals.rules import DueCause, TerminalKind
from app.workorders.rules import State

PICK_UP_DAYS = Parameter(
    "recovery.pick_up_days",
    default=7,
    unit="days",
    words=Words("终端应在多少天内上门回收", "Within how many days a terminal is fetched"),
    least=1,
    most=90,
)
PICK_UP_MINUTES = Parameter(
    "recovery.pick_up_minutes",
    default=15,
    unit="minutes",
    words=Words("上门回收终端的标准时长", "Minutes at the door to fetch terminals"),
    least=5,
    most=240,
)
ADD_ON_METRES = Parameter(
    "recovery.add_on_m",
    default=800,
    unit="m",
    words=Words(
        "距当日路线多远以内的回收可顺路领取",
        "How far from a stop of the day a pick-up is offered on the way",
    ),
    most=50_000,
)
MOST_ORDERS = Parameter(
    "recovery.most_orders",
    default=3,
    unit="orders",
    words=Words(
        "同一客户最多自动派几次回收工单", "Pick-up orders that are made by themselves at most"
    ),
    least=1,
    most=20,
)


def _wanted(kind: TerminalKind, default: float, zh: str, en: str) -> Parameter:
    return Parameter(
        f"recovery.wanted_{kind.value}",
        default=default,
        unit="yes or no",
        words=Words(f"{zh}不再使用时须归还（1 是，0 否）", f"{en} is given back (1) or kept (0)"),
        most=1,
    )


WANTED = {
    TerminalKind.ONT_GATEWAY: _wanted(TerminalKind.ONT_GATEWAY, 1, "光猫", "An unused gateway"),
    TerminalKind.SET_TOP_BOX: _wanted(TerminalKind.SET_TOP_BOX, 1, "机顶盒", "An unused box"),
    # As a rule these were sold.
    TerminalKind.WIFI_REPEATER: _wanted(
        TerminalKind.WIFI_REPEATER, 0, "WiFi路由", "An unused repeater"
    ),
    TerminalKind.CAMERA: _wanted(TerminalKind.CAMERA, 0, "摄像头", "An unused camera"),
}
KIND_WORDS = {
    TerminalKind.ONT_GATEWAY: "光猫",
    TerminalKind.SET_TOP_BOX: "机顶盒",
    TerminalKind.WIFI_REPEATER: "WiFi路由",
    TerminalKind.CAMERA: "摄像头",
}

# What a line has one of: where another is fitted, the older one goes back.
ONE_A_LINE = frozenset({TerminalKind.ONT_GATEWAY})

SOURCE = "yingwei"
"""The source of orders that are made here."""


class RecoveryOver(Conflict):
    slug = "recovery-over"
    title = Words(zh="该客户的终端回收已结束", en="Nothing is left to fetch there")
    advice = Words(zh="回收已于 {closed_at} 结束。", en="It ended at {closed_at}.")


class RecoveryTaken(Conflict):
    slug = "recovery-taken"
    title = Words(zh="该回收已有人处理", en="Somebody else fetches it already")
    advice = Words(
        zh="工单现为 {state}，计划日期 {planned_day}：请刷新顺路回收列表。",
        en="Its order is {state}, planned for {planned_day}: read the list of stops again.",
    )


class NotDueBack(Conflict):
    slug = "not-due-back"
    title = Words(zh="该终端已不在待回收状态", en="This terminal is no longer due back")
    advice = Words(
        zh="它已于 {settled_at} 变为 {state}。", en="It has been {state} since {settled_at}."
    )


class SameRequestOtherContent(Conflict):
    slug = "same-request-other-content"
    title = Words(
        zh="同一来源编号的回收请求内容不同", en="This request is known with other content"
    )
    advice = Words(
        zh="{source} 的 {external_id} 已收到且内容不同；请使用新的编号。",
        en="{external_id} of {source} was received with other content; use a new number.",
    )


# --- what is no longer needed ---------------------------------------------------------------------


class Service(NamedTuple):
    """A service a customer holds or held; prices in fen a month, speeds in Mbit/s."""

    offering_code: str
    category: str
    monthly_price_fen: int
    speed_mbps: int | None


@dataclass(frozen=True)
class Needs:
    """What the catalogue, in all its versions, says of terminals.

    `kinds` are the kinds that offerings of a category come with and `requires` the categories they
    stand on, both by category; `own` are an offering's own kinds, by its code.
    """

    kinds: Mapping[str, frozenset[TerminalKind]]
    requires: Mapping[str, frozenset[str]]
    own: Mapping[str, frozenset[TerminalKind]]

    def known(self, service: Service) -> bool:
        """Tell whether the catalogue says anything of a service or its category."""
        named = frozenset().union(*self.requires.values())
        return (
            service.offering_code in self.own
            or service.category in self.kinds
            or service.category in named
        )

    def direct(self, service: Service) -> frozenset[TerminalKind]:
        """Give the kinds that a service comes with."""
        none: frozenset[TerminalKind] = frozenset()
        return self.own.get(service.offering_code, none) | self.kinds.get(service.category, none)

    def all_of(self, service: Service) -> frozenset[TerminalKind]:
        """Give the kinds that a service needs, with those of the services it stands on."""
        found, seen, waiting = self.direct(service), {service.category}, [service.category]
        while waiting:
            for category in self.requires.get(waiting.pop(), ()):
                if category not in seen:
                    seen.add(category)
                    waiting.append(category)
                    found |= self.kinds.get(category, frozenset())
        return found


def needed(services: Iterable[Service], needs: Needs) -> frozenset[TerminalKind]:
    """Say which kinds of terminal services need.

    Of a service that the catalogue knows nothing of, it cannot be said that it needs none: then
    every kind is.
    """
    found: frozenset[TerminalKind] = frozenset()
    for service in services:
        if not needs.known(service):
            return frozenset(TerminalKind)
        found |= needs.all_of(service)
    return found


def no_longer_needed(
    was: Service, running: Iterable[Service], needs: Needs
) -> frozenset[TerminalKind]:
    """Say which kinds a service came with that nothing needs since it ended or became another."""
    return needs.direct(was) - needed(running, needs)


def cause_of(was: Service, becomes: Service | None) -> DueCause:
    """Say why a terminal is due back when a service has ended (None) or become another."""
    if becomes is None:
        return DueCause.REMOVAL
    slower = (becomes.speed_mbps or 0) < (was.speed_mbps or 0)
    if slower or becomes.monthly_price_fen < was.monthly_price_fen:
        return DueCause.DOWNGRADE
    return DueCause.SPEED_CHANGE


# --- who may fetch it -----------------------------------------------------------------------------

# In these an order is planned at most, and nobody has told its customer yet that they come.
NOT_BEGUN = frozenset({State.RECEIVED, State.LOCATED, State.UNPLACED, State.ASSIGNED})


class Fetching(NamedTuple):
    """Where the order of a pick-up stands; `taken_by_id` has taken it on the way."""

    state: State
    holder_id: UUID | None
    planned_day: date | None
    appointed: bool
    taken_by_id: UUID | None


def may_take(order: Fetching, technician_id: UUID, today: date) -> bool:
    """Tell whether a technician may take a pick-up into today; False when they have it already.

    Raises RecoveryTaken when somebody else has begun it, has taken it on the way or goes there
    today, and when the customer was promised another time.
    """
    mine = order.holder_id == technician_id and order.planned_day == today
    if mine and order.state not in (State.COMPLETED, State.ARCHIVED, State.CANCELLED):
        return False
    others = order.holder_id is not None and order.holder_id != technician_id
    if (
        order.state not in NOT_BEGUN
        or order.appointed
        or (others and order.taken_by_id == order.holder_id)
        or (others and order.planned_day is not None and order.planned_day <= today)
    ):
        raise RecoveryTaken(state=order.state, planned_day=order.planned_day)
    return True


# --- figures --------------------------------------------------------------------------------------


class GroupedBy(StrEnum):
    """What rates are told for."""

    KIND = "kind"
    ORG_UNIT = "org_unit"
    TECHNICIAN = "technician"


def rate(numerator: int, denominator: int) -> float | None:
    """Divide, to four digits; None where nothing was due."""
    return round(numerator / denominator, 4) if denominator else None


def summary(kinds: Iterable[TerminalKind]) -> str:
    """Say what is to be fetched, for the technician's list."""
    counted: dict[TerminalKind, int] = {}
    for kind in kinds:
        counted[kind] = counted.get(kind, 0) + 1
    named = "、".join(f"{KIND_WORDS[kind]}×{counted[kind]}" for kind in sorted(counted))
    return f"上门回收终端：{named}"
