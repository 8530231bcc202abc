"""The words of the board: what somebody does, why they are on it, and what endangers a visit."""

from enum import StrEnum

from app.core.errors import Invalid
from app.core.i18n import Words


class Works(StrEnum):
    """Why somebody is on a unit's board on a day."""

    OWN = "own"  # of the unit, and not lent to another
    BORROWED = "borrowed"  # lent to the unit
    HELPING = "helping"  # of another unit, with orders of this one


class Doing(StrEnum):
    """What somebody does at this moment."""

    FREE = "free"
    ON_THE_WAY = "on_the_way"
    AT_DOOR = "at_door"
    ON_BREAK = "on_break"
    ON_LEAVE = "on_leave"
    OFF_SHIFT = "off_shift"


ON_SHIFT = frozenset({Doing.FREE, Doing.ON_THE_WAY, Doing.AT_DOOR, Doing.ON_BREAK})


class Risk(StrEnum):
    """What endangers a visit."""

    WINDOW = "window"
    PROMISE = "promise"
    RUNS_LONG = "runs_long"
    UNACKNOWLEDGED = "unacknowledged"
    SHIFT_END = "shift_end"
    NOT_AT_WORK = "not_at_work"
    RESUME_OVERDUE = "resume_overdue"


RISK_WORDS: dict[Risk, Words] = {
    Risk.WINDOW: Words(
        zh="将错过预约时段，或余量不足", en="its appointment will be missed, or only just kept"
    ),
    Risk.PROMISE: Words(
        zh="将超过承诺时限，或余量不足", en="its promise will be missed, or only just kept"
    ),
    Risk.RUNS_LONG: Words(zh="现场时间超出预计", en="work at the door takes longer than thought"),
    Risk.UNACKNOWLEDGED: Words(zh="迟迟未接单", en="nobody has taken it on for too long"),
    Risk.SHIFT_END: Words(zh="下班前做不完", en="it does not fit before the end of the shift"),
    Risk.NOT_AT_WORK: Words(zh="持单人当天不上班", en="whoever holds it is not at work that day"),
    Risk.RESUME_OVERDUE: Words(
        zh="已过约定恢复时间仍挂起", en="it is still suspended after it was to go on"
    ),
}


class BoardTooLarge(Invalid):
    slug = "board-too-large"
    title = Words(zh="看板人数过多", en="Too many people for one board")
    advice = Words(
        zh="该组织当天有 {people} 人，一个看板最多 {most} 人；请选择下级组织。",
        en="{people} people work there that day, and a board holds {most}; ask for a unit below.",
    )
