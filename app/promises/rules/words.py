"""Promises in words, for whoever has to explain one to a customer."""

from app.core.i18n import Words
from app.grids.rules import GridKind
from app.promises.rules.due import Clock, Per, Promise

_KINDS = {
    GridKind.COMPOUND: Words("小区", "compounds"),
    GridKind.VILLAGE: Words("农村", "villages"),
    GridKind.BUSINESS_BUILDING: Words("商务楼宇", "business buildings"),
    GridKind.STREET: Words("沿街", "streets"),
}


def words_of(promise: Promise) -> Words:
    """Say what a promise rule promises, and what is paid when it is not kept."""
    hours = f"{promise.hours_after:g}"
    working = promise.clock is Clock.WORKING
    zh_hours, en_hours = ("工作小时", "working hours") if working else ("小时", "hours")
    if promise.cut_off is None:
        zh, en = f"申告后 {hours} {zh_hours}内完成", f"done within {hours} {en_hours}"
    else:
        cut_off, due = (f"{each:%H:%M}" for each in (promise.cut_off, promise.due_time))
        zh = f"{cut_off} 前申告当日 {due} 前完成，之后申告 {hours} {zh_hours}内完成"
        en = f"reported before {cut_off}: done by {due}; later: within {hours} {en_hours}"
    if promise.value_tier is not None:
        zh, en = f"{zh}（客户等级 {promise.value_tier}）", f"{en} (tier {promise.value_tier})"
    if promise.grid_kind is not None:
        kind = _KINDS[promise.grid_kind]
        zh, en = f"{zh}（{kind.zh}）", f"{en} ({kind.en})"
    return Words(f"{zh}；{_paid(promise).zh}", f"{en}; {_paid(promise).en}")


def _paid(promise: Promise) -> Words:
    if promise.compensation_fen == 0:
        return Words("逾期不赔付", "nothing is paid when it is late")
    paid, cap = (
        f"{fen / 100:.2f}" for fen in (promise.compensation_fen, promise.compensation_cap_fen)
    )
    if promise.compensation_per is Per.ORDER:
        return Words(f"逾期一次性赔付 {paid} 元", f"{paid} yuan are paid once when it is late")
    return Words(
        f"逾期每天赔付 {paid} 元，最多 {cap} 元",
        f"{paid} yuan are paid for each day it is late, at most {cap}",
    )
