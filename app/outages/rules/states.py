"""How an outage goes on: its states, why it happened, what becomes of its orders, and refusals."""

from datetime import datetime
from enum import StrEnum

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.outages.rules.places import PlaceKind, said


class OutageState(StrEnum):
    """Where an outage stands."""

    PROPOSED = "proposed"
    CONFIRMED = "confirmed"
    DISMISSED = "dismissed"
    LAPSED = "lapsed"
    MERGED = "merged"
    CLOSED = "closed"


OPEN = (OutageState.PROPOSED, OutageState.CONFIRMED)


class OutageCause(StrEnum):
    """Why a place has failed, as far as is known when a supervisor confirms it."""

    FIBRE_CUT = "fibre_cut"
    PORT_FAULT = "port_fault"
    OLT_FAULT = "olt_fault"
    UPLINK_FAULT = "uplink_fault"
    POWER = "power"
    PLANNED_WORKS = "planned_works"
    PLATFORM = "platform"
    THIRD_PARTY = "third_party"
    NOT_KNOWN = "not_known"


CAUSE_WORDS: dict[OutageCause, Words] = {
    OutageCause.FIBRE_CUT: Words(zh="光缆中断", en="a fibre is cut"),
    OutageCause.PORT_FAULT: Words(zh="OLT 端口故障", en="a port of the OLT has failed"),
    OutageCause.OLT_FAULT: Words(zh="OLT 设备故障", en="the OLT has failed"),
    OutageCause.UPLINK_FAULT: Words(zh="上联故障", en="the uplink has failed"),
    OutageCause.POWER: Words(zh="停电", en="there is no power"),
    OutageCause.PLANNED_WORKS: Words(zh="割接施工", en="planned works"),
    OutageCause.PLATFORM: Words(zh="平台故障", en="a platform has failed"),
    OutageCause.THIRD_PARTY: Words(zh="第三方施工破坏", en="somebody else's works"),
    OutageCause.NOT_KNOWN: Words(zh="原因待查", en="the cause is not known yet"),
}


class WhenOver(StrEnum):
    """What becomes of the orders that were held when the outage is over.

    `test` tests each line that is known, closes those that work and places the others; `close`
    closes all, since the operator knows that everything works; `place` places all.
    """

    TEST = "test"
    CLOSE = "close"
    PLACE = "place"


class OutageChanged(Conflict):
    slug = "outage-changed"
    title = Words(zh="群障已变化", en="The outage has changed")
    advice = Words(
        zh="群障现为 {state}、版本 {version}，与您看到的不同；请重新读取后再决定。",
        en="It is {state} at version {version}, other than you have seen it; read it again.",
    )


class OutageOver(Conflict):
    slug = "outage-not-ready"
    title = Words(zh="群障当前状态不能执行该操作", en="The outage is not ready for that")
    advice = Words(
        zh="群障现为 {state}；此操作需要：{needs}。",
        en="The outage is {state}; this needs: {needs}.",
    )


class OutageThere(Conflict):
    slug = "outage-there-already"
    title = Words(zh="该处已有群障", en="There is an outage of this place already")
    advice = Words(
        zh="该处已有群障 {outage_id}（{state}），请在其上操作。",
        en="Outage {outage_id} ({state}) is of the same place: go on with that one.",
    )


class NotOfAnOutage(Invalid):
    slug = "not-of-an-outage"
    title = Words(zh="这些工单不能并入群障", en="These orders cannot belong to an outage")
    advice = Words(
        zh="只有未关闭的修障工单、且不属于其他已确认群障的，才能并入；见 facts.errors。",
        en="Only open repairs that belong to no other confirmed outage can; see facts.errors.",
    )


class UnknownPlace(Invalid):
    slug = "unknown-place"
    title = Words(zh="没有这个位置", en="No such place")
    advice = Words(
        zh="您的管辖范围内没有这个网格、小区、OLT 或端口：{key}。",
        en="There is no such grid, compound, OLT or port within your area: {key}.",
    )


def check_open(state: OutageState, *needs: OutageState) -> None:
    """Raise OutageOver unless an outage is in one of the states that something needs."""
    if state not in needs:
        raise OutageOver(state=state, needs=list(needs))


def parent_words(kind: PlaceKind, name: str, orders: int, cause: OutageCause) -> Words:
    """Say in one line what the one order is about that is worked on in place of many."""
    place, why = said(kind, name), CAUSE_WORDS[cause]
    return Words(
        zh=f"群障：{place.zh}，{orders} 单申告，{why.zh}",
        en=f"Outage: {place.en}, {orders} reports, {why.en}",
    )


def customer_words(kind: PlaceKind, name: str, expected_end: datetime | None) -> Words:
    """Say to a customer who reports a fault that it is known; `expected_end` is in local time.

    A port's code tells a customer nothing, so only a compound is named.
    """
    zh = "您所在区域" if kind is not PlaceKind.COMPOUND else name
    en = "your area" if kind is not PlaceKind.COMPOUND else name
    until_zh, until_en = "，正在抢修", " and is being worked on"
    if expected_end is not None:
        until_zh += f"，预计 {expected_end:%m月%d日 %H:%M} 前恢复"
        until_en += f"; it is expected to end by {expected_end:%Y-%m-%d %H:%M}"
    return Words(
        zh=f"{zh}的宽带故障已知{until_zh}。",
        en=f"The fault in {en} is known{until_en}.",
    )
