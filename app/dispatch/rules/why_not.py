"""Why an order cannot be moved by hand, or only against a rule that a supervisor may break."""

from enum import StrEnum

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.dispatch.rules.diaries import PassedOver
from app.dispatch.rules.words import REASON_WORDS

FARTHEST_DAYS = 60
"""How many days ahead an order can be given by hand."""

MOST_ROWS = 1000
"""How many orders one command may move."""


class WhyNot(StrEnum):
    """Why a row cannot be done, or only against a rule."""

    UNKNOWN = "unknown"
    NAMED_TWICE = "named_twice"
    CHANGED = "changed_meanwhile"
    UNDER_WAY = "under_way"
    CLOSED = "closed"
    NOT_HELD = "not_held"
    TOUCHED = "touched_since"
    UNKNOWN_TECHNICIAN = "unknown_technician"
    INACTIVE = "inactive"
    DAY_OUT_OF_RANGE = "day_out_of_range"
    LENT = "lent_elsewhere"
    NO_SKILL = "no_skill"
    NOT_ON_SHIFT = "not_on_shift"
    ON_LEAVE = "on_leave"
    NO_STOCK = "no_stock"
    NO_MINUTES_LEFT = "no_minutes_left"
    WINDOW_UNREACHABLE = "window_unreachable"
    WINDOW_TAKEN = "window_taken"
    SHIFT_END = "shift_end"
    NO_BREAK = "no_break"


WHY_NOT_WORDS: dict[WhyNot, Words] = {
    WhyNot.UNKNOWN: Words(
        zh="工单不存在，或不在您的管辖范围内", en="there is no such order within your area"
    ),
    WhyNot.NAMED_TWICE: Words(
        zh="同一批中重复出现", en="an earlier row of the command names it already"
    ),
    WhyNot.CHANGED: Words(zh="已被他人更改", en="somebody has changed it meanwhile"),
    WhyNot.UNDER_WAY: Words(
        zh="人员已在途、上门或挂起，不能移动", en="the technician is at it, or has suspended it"
    ),
    WhyNot.CLOSED: Words(zh="已完工、归档或取消", en="it is completed, archived or cancelled"),
    WhyNot.NOT_HELD: Words(zh="当前无人持有", en="nobody holds it"),
    WhyNot.TOUCHED: Words(
        zh="批量操作之后又有变动", en="it has been touched since the command that is to be undone"
    ),
    WhyNot.UNKNOWN_TECHNICIAN: Words(
        zh="人员不存在，或不在您的管辖范围内", en="there is no such technician within your area"
    ),
    WhyNot.INACTIVE: REASON_WORDS[PassedOver.INACTIVE],
    WhyNot.DAY_OUT_OF_RANGE: Words(
        zh=f"日期须在今天至 {FARTHEST_DAYS} 天内",
        en=f"not between today and {FARTHEST_DAYS} days on",
    ),
    WhyNot.LENT: Words(zh="当日已借调至其他组织", en="lent to another unit on that day"),
    WhyNot.NO_SKILL: REASON_WORDS[PassedOver.NO_SKILL],
    WhyNot.NOT_ON_SHIFT: Words(zh="当日不当班", en="not on shift that day"),
    WhyNot.ON_LEAVE: REASON_WORDS[PassedOver.ON_LEAVE],
    WhyNot.NO_STOCK: REASON_WORDS[PassedOver.NO_STOCK],
    WhyNot.NO_MINUTES_LEFT: REASON_WORDS[PassedOver.NO_MINUTES_LEFT],
    WhyNot.WINDOW_UNREACHABLE: REASON_WORDS[PassedOver.WINDOW_UNREACHABLE],
    WhyNot.WINDOW_TAKEN: REASON_WORDS[PassedOver.WINDOW_TAKEN],
    WhyNot.SHIFT_END: Words(
        zh="下班前完成不了", en="the day would not end by the end of the shift"
    ),
    WhyNot.NO_BREAK: Words(zh="午休或请假时段被占用", en="no time is left for a break"),
}

# What a supervisor can insist against. The rest is not a matter of judgement.
OVERRIDABLE = frozenset(
    {
        WhyNot.LENT,
        WhyNot.NO_SKILL,
        WhyNot.NOT_ON_SHIFT,
        WhyNot.ON_LEAVE,
        WhyNot.NO_STOCK,
        WhyNot.NO_MINUTES_LEFT,
        WhyNot.WINDOW_UNREACHABLE,
        WhyNot.WINDOW_TAKEN,
        WhyNot.SHIFT_END,
        WhyNot.NO_BREAK,
    }
)


class MovesRefused(Conflict):
    slug = "moves-refused"
    title = Words(zh="部分工单无法移动，未作任何更改", en="Some orders cannot be moved; none was")
    advice = Words(
        zh="{refused} 行无法执行，原因见 facts.rows；请去掉后重发，或在允许时设 override 为 true。",
        en="{refused} rows cannot be done, facts.rows says why: leave them out and send again, or "
        "insist with override: true where that is possible.",
    )


class NothingToMove(Conflict):
    slug = "nothing-to-move"
    title = Words(zh="没有可移动的工单", en="There is nothing to move")
    advice = Words(
        zh="所选范围内没有可移动的工单；请刷新后再选。",
        en="No order that can be moved was found there; look again.",
    )


class MoveUndone(Conflict):
    slug = "move-undone"
    title = Words(zh="该批操作已被撤销", en="This has been undone already")
    advice = Words(
        zh="已由 {undone_by} 撤销；如需恢复，请撤销那次撤销。",
        en="It was undone by {undone_by}; to have it again, undo that.",
    )


class NotToBeUndone(Conflict):
    slug = "not-to-be-undone"
    title = Words(zh="该操作不能撤销", en="This cannot be undone")
    advice = Words(
        zh="{kind} 没有移动工单；请直接重新设置。",
        en="A {kind} moves no order; set it again instead.",
    )


class NoTarget(Invalid):
    slug = "no-target"
    title = Words(zh="未指明人员或日期", en="It is not said to whom, or when")
    advice = Words(
        zh="请为整批或每一行给出 technician_id 或 day。",
        en="Give a technician_id or a day, for all or for each row.",
    )
