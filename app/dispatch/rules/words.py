"""The words of a decision, in Chinese and in English."""

from app.core.i18n import Words
from app.dispatch.rules.diaries import PassedOver
from app.grids.rules.asking import Kind
from app.workorders.rules import UNPLACED_WORDS, UnplacedReason

REASON_WORDS: dict[PassedOver, Words] = {
    PassedOver.INACTIVE: Words(zh="账号已停用", en="no longer active"),
    PassedOver.NO_SKILL: Words(zh="缺少所需技能", en="lacks a skill the order needs"),
    PassedOver.DECLINED_BEFORE: Words(zh="已拒单或退单", en="has declined or handed it back"),
    PassedOver.NOT_ON_SHIFT: Words(zh="不当班", en="not on shift for this grid"),
    PassedOver.ON_LEAVE: Words(zh="请假", en="on leave"),
    PassedOver.LENT_OUT: Words(zh="已借调至其他组织", en="lent to another org unit"),
    PassedOver.NO_STOCK: Words(
        zh="车上没有所需终端", en="the van does not hold the terminals it needs"
    ),
    PassedOver.WINDOW_UNREACHABLE: Words(
        zh="赶不上预约时段", en="cannot be there within the appointment window"
    ),
    PassedOver.WINDOW_TAKEN: Words(
        zh="预约时段与其他预约冲突", en="other appointments leave no room in that window"
    ),
    PassedOver.NO_MINUTES_LEFT: Words(zh="工时已排满", en="no minutes left"),
    PassedOver.ROUTE_FULL: Words(
        zh="当天路线排不进（含路途、午休与已约时段）",
        en="no place on the day's way, with lunch, appointments and the way home",
    ),
    PassedOver.RATIO_USED_UP: Words(
        zh="给本网格的工时份额已用完", en="the share of the day for this grid is used up"
    ),
    PassedOver.DEARER: Words(
        zh="可行，但并不比所选人员更省", en="could have had it, but at no lower cost"
    ),
}

KIND_WORDS: dict[Kind, Words] = {
    Kind.LOAN: Words(zh="借调", en="on loan to this grid"),
    Kind.PRIMARY: Words(zh="主责", en="primary of this grid"),
    Kind.BACKUP: Words(zh="备岗", en="backup of this grid"),
    Kind.LENT: Words(zh="借调至本组织", en="lent to the grid's org unit"),
    Kind.BRANCH: Words(zh="本组织其他人员", en="of the grid's org unit"),
    Kind.NEIGHBOUR: Words(zh="相邻网格主责", en="primary of a neighbouring grid"),
    Kind.OTHER: Words(zh="其他人员", en="somebody else"),
}

COST_WORDS: dict[str, Words] = {
    "travel_s": Words(zh="路途", en="travel"),
    "ownership_s": Words(zh="网格归属", en="who they are to the grid"),
    "lateness_s": Words(zh="超时", en="lateness"),
    "imbalance_s": Words(zh="负荷不均", en="work beyond a fair share"),
    "repeat_s": Words(zh="重复障碍人员偏好", en="who is preferred for a repeat fault"),
}

BY_HAND = "by_hand"
AT_THE_DOOR = "at_the_door"
AT_THE_DOOR_WORDS = Words(
    zh="现场办理，由在场人员即办即装", en="sold at the door, installed by whoever is there"
)
BY_HAND_WORDS = Words(zh="由人工指派", en="given by hand")
PASSED_ON = "passed_on"
PASSED_ON_WORDS = Words(zh="由同事转来", en="passed on by a colleague")
BY_PLAN = "by_plan"
BY_PLAN_WORDS = Words(zh="按日计划指派", en="given by the plan of the day")


def reason_words(reason: str) -> Words:
    """Say a decision's reason: how the chosen one belongs to the grid, or why there is none."""
    if reason == AT_THE_DOOR:
        return AT_THE_DOOR_WORDS
    if reason == BY_HAND:
        return BY_HAND_WORDS
    if reason == PASSED_ON:
        return PASSED_ON_WORDS
    if reason == BY_PLAN:
        return BY_PLAN_WORDS
    if reason in set(UnplacedReason):
        return UNPLACED_WORDS[UnplacedReason(reason)]
    return KIND_WORDS[Kind(reason)]
