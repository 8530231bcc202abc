"""Each reason why something cannot be sold or installed now, and what it stands in the way of."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.i18n import Words
from app.dispatch.rules import NotOffered, PassedOver
from app.suggestions.rules import HeldBack
from app.suggestions.rules.asking import APPLY
from app.suggestions.rules.words import HELD_BACK


class Blocks(StrEnum):
    """What a reason stands in the way of: the sale itself, or only installing it in this visit."""

    SALE = "sale"
    INSTALL = "install"


class Infeasible(StrEnum):
    """Why something cannot be sold, or cannot be installed in this visit.

    Those that have the name of a gate of the suggestions are that gate.
    """

    NOT_SOLD_HERE = "not_sold_here"
    ALREADY_HELD = "already_held"
    REQUIRES_OTHER = "requires_other"
    ORDER_PENDING = "order_pending"
    LINE_UNKNOWN = "line_unknown"
    LINE_TOO_SLOW = "line_too_slow"
    NO_FREE_PORT = "no_free_port"
    NOT_RESTORED = "not_restored"
    ARREARS = "arrears"
    BLACKLISTED = "blacklisted"
    OUTAGE = "outage"
    NEEDS_APPROVAL = "needs_approval"
    REAL_NAME_MISSING = "real_name_missing"
    REAL_NAME_FAILED = "real_name_failed"
    PLACE_NOT_COVERED = "place_not_covered"
    SKILL_MISSING = "skill_missing"
    NOT_IN_THE_VAN = "not_in_the_van"
    NOT_ON_SHIFT = "not_on_shift"
    NO_TIME_LEFT = "no_time_left"
    PROMISE_IN_THE_WAY = "promise_in_the_way"
    TOO_LONG_FOR_NOW = "too_long_for_now"
    NOT_AT_THE_DOOR = "not_at_the_door"
    APPOINTMENT_OVER = "appointment_over"


OF_GATE: Mapping[HeldBack, Infeasible] = {gate: Infeasible(gate.value) for gate in APPLY}

WORDS: Mapping[Infeasible, Words] = {
    **{code: HELD_BACK[gate] for gate, code in OF_GATE.items()},
    Infeasible.NOT_SOLD_HERE: Words(
        "该业务不能上门办理，只能登记商机", "It is not sold at the door; only a lead may be noted"
    ),
    Infeasible.REAL_NAME_MISSING: Words(
        "尚未通过实名核验或已过期，请先核验证件",
        "The real name is not checked, or no longer; check the document first",
    ),
    Infeasible.REAL_NAME_FAILED: Words("实名核验未通过", "The check of the real name did not pass"),
    Infeasible.PLACE_NOT_COVERED: Words(
        "该工单不在任何网格内，无法派装", "The order lies in no grid, so no install can be planned"
    ),
    Infeasible.SKILL_MISSING: Words("您暂无安装所需技能", "You do not have the skill it needs"),
    Infeasible.NOT_IN_THE_VAN: Words(
        "车上没有可用的终端（已有工单或预留占用的不算）",
        "The device it needs is not in your van, or promised to another order",
    ),
    Infeasible.NOT_ON_SHIFT: Words("您此时不在班", "You are not on shift now"),
    Infeasible.NO_TIME_LEFT: Words(
        "今天剩余工时不够", "There are not enough minutes left of today"
    ),
    Infeasible.PROMISE_IN_THE_WAY: Words(
        "会影响今天已约定的工单", "It would break an appointment or a promise of today"
    ),
    Infeasible.TOO_LONG_FOR_NOW: Words(
        "工时过长，无法在承诺时间内开通", "The work takes longer than the promised time"
    ),
    Infeasible.NOT_AT_THE_DOOR: Words(
        "您已离开客户家，或该工单已不由您处理",
        "You are not at the door any more, or the order is not yours any more",
    ),
    Infeasible.APPOINTMENT_OVER: Words(
        "预约的时段已失效，或不足以安装所售业务",
        "The slot that was booked is over, or too short for what was sold",
    ),
}

_SALE = frozenset(
    {
        Infeasible.NOT_SOLD_HERE,
        Infeasible.REAL_NAME_MISSING,
        Infeasible.REAL_NAME_FAILED,
        *OF_GATE.values(),
    }
)

# What cannot be had, whoever sells it and whenever, unless by the code that it needs. The other
# reasons against a sale say that it is not known, or that nothing is to be sold to somebody just
# now.
CANNOT_BE_HAD = frozenset(
    {
        Infeasible.ALREADY_HELD,
        Infeasible.REQUIRES_OTHER,
        Infeasible.ORDER_PENDING,
        Infeasible.LINE_TOO_SLOW,
        Infeasible.NO_FREE_PORT,
        Infeasible.NEEDS_APPROVAL,
    }
)

# What placing says of a day, as a technician at the door is told it.
OF_DAY: Mapping[PassedOver | NotOffered, Infeasible] = {
    NotOffered.TOO_LONG_FOR_NOW: Infeasible.TOO_LONG_FOR_NOW,
    PassedOver.INACTIVE: Infeasible.NOT_ON_SHIFT,
    PassedOver.NOT_ON_SHIFT: Infeasible.NOT_ON_SHIFT,
    PassedOver.ON_LEAVE: Infeasible.NOT_ON_SHIFT,
    PassedOver.LENT_OUT: Infeasible.NOT_ON_SHIFT,
    PassedOver.WINDOW_UNREACHABLE: Infeasible.NOT_ON_SHIFT,
    PassedOver.NO_MINUTES_LEFT: Infeasible.NO_TIME_LEFT,
    PassedOver.WINDOW_TAKEN: Infeasible.PROMISE_IN_THE_WAY,
    PassedOver.ROUTE_FULL: Infeasible.PROMISE_IN_THE_WAY,
}


def blocks(code: Infeasible) -> Blocks:
    """Say what a reason stands in the way of."""
    return Blocks.SALE if code in _SALE else Blocks.INSTALL


class No(NamedTuple):
    """One reason, with the facts that decided; they are plain values."""

    code: Infeasible
    facts: Mapping[str, Any]

    @property
    def blocks(self) -> Blocks:
        """What it stands in the way of."""
        return blocks(self.code)
