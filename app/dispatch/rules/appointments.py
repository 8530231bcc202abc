"""Appointments: held for a while, confirmed or given free; changed with a cause, and how often."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words


class HoldState(StrEnum):
    """Where a hold stands. One that is held past its time counts no more, whatever its row says."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class Fault(StrEnum):
    """On whose side the cause of a change lies."""

    CUSTOMER = "customer"
    OPERATOR = "operator"
    OUTSIDE = "outside"


class Cause(StrEnum):
    """Why an appointment is changed."""

    CUSTOMER_REQUEST = "customer_request"
    CUSTOMER_ABSENT = "customer_absent"
    NETWORK_FAULT = "network_fault"
    RESOURCE_MISSING = "resource_missing"
    TECHNICIAN_ABSENT = "technician_absent"
    RUNNING_LATE = "running_late"
    ACCESS_REFUSED = "access_refused"
    WEATHER = "weather"


FAULT_OF: dict[Cause, Fault] = {
    Cause.CUSTOMER_REQUEST: Fault.CUSTOMER,
    Cause.CUSTOMER_ABSENT: Fault.CUSTOMER,
    Cause.NETWORK_FAULT: Fault.OPERATOR,
    Cause.RESOURCE_MISSING: Fault.OPERATOR,
    Cause.TECHNICIAN_ABSENT: Fault.OPERATOR,
    Cause.RUNNING_LATE: Fault.OPERATOR,
    Cause.ACCESS_REFUSED: Fault.OUTSIDE,
    Cause.WEATHER: Fault.OUTSIDE,
}

CAUSE_WORDS: dict[Cause, Words] = {
    Cause.CUSTOMER_REQUEST: Words(zh="用户要求改约", en="the customer asked for it"),
    Cause.CUSTOMER_ABSENT: Words(zh="用户不在家", en="the customer is not at home"),
    Cause.NETWORK_FAULT: Words(zh="网络故障", en="a fault of the network"),
    Cause.RESOURCE_MISSING: Words(zh="资源不足", en="a port, a line or material is missing"),
    Cause.TECHNICIAN_ABSENT: Words(zh="装维人员缺勤", en="the technician is absent"),
    Cause.RUNNING_LATE: Words(zh="前序工单超时", en="earlier work took longer"),
    Cause.ACCESS_REFUSED: Words(zh="物业等第三方不予进场", en="a third party lets nobody in"),
    Cause.WEATHER: Words(zh="天气原因", en="the weather"),
}


class Needs(NamedTuple):
    """What an order asks of a hold."""

    order_id: UUID | None
    work_type: str
    minutes: int
    skills: frozenset[str]
    grid_id: UUID | None


# --- refusals -------------------------------------------------------------------------------------


class NoSlotsDefined(Conflict):
    slug = "no-slots-defined"
    title = Words(zh="未配置预约时段", en="No slots are defined")
    advice = Words(
        zh="组织 {org_path} 没有 {work_type} 工单可用的预约时段；请用 yingwei load slots 载入。",
        en="The unit {org_path} has no slots for {work_type}; load some with yingwei load slots.",
    )


class PlaceNotCovered(Conflict):
    slug = "place-not-covered"
    title = Words(zh="该地点不在任何网格内", en="This place lies in no grid of yours")
    advice = Words(
        zh="请核对坐标和坐标系；仍不在网格内的地点需由班长处理。",
        en="Check the point and its coordinate system; a place outside the grids needs a person.",
    )


class SlotNotOffered(Conflict):
    slug = "slot-not-offered"
    title = Words(zh="该时段不可预约", en="This slot cannot be had")
    advice = Words(
        zh="{day} 的时段 {slot}：{why_zh}。可改选 facts.alternatives 中的时段。",
        en="{slot} of {day}: {why_en}. Choose another one, as in facts.alternatives.",
    )


class HoldOver(Conflict):
    slug = "hold-over"
    title = Words(zh="时段预留已失效", en="This hold is over")
    advice = Words(
        zh="预留状态为 {state}（有效至 {expires_at}）；请重新查询并预留时段。",
        en="It is {state} (it ran until {expires_at}); search and hold a slot again.",
    )


class HoldDoesNotFit(Conflict):
    slug = "hold-does-not-fit"
    title = Words(zh="预留的时段与工单不符", en="The hold was made for something else")
    advice = Words(
        zh="不一致的内容：{differs}；请按工单重新预留时段。",
        en="They differ in {differs}; hold a slot for this order.",
    )


class UnknownHold(Invalid):
    slug = "unknown-hold"
    title = Words(zh="没有该时段预留", en="No such hold")
    advice = Words(
        zh="预留 {hold_id} 不存在，或不在您的管辖范围内。",
        en="The hold {hold_id} does not exist, or it is not within your area.",
    )


class AppointmentStands(Conflict):
    slug = "appointment-stands"
    title = Words(zh="工单已有预约", en="This order has an appointment")
    advice = Words(
        zh="已约 {begins_at} 至 {ends_at}；改约须说明原因，并已征得用户同意。",
        en="It is for {begins_at} until {ends_at}; reschedule it, with a cause and the customer's "
        "agreement.",
    )


class NoAppointment(Conflict):
    slug = "no-appointment"
    title = Words(zh="工单没有预约", en="This order has no appointment")
    advice = Words(
        zh="没有可改的预约；请直接确认所预留的时段。",
        en="There is nothing to change; confirm the hold instead.",
    )


class CustomerNotAsked(Invalid):
    slug = "customer-not-asked"
    title = Words(zh="未征得用户同意", en="The customer has not agreed")
    advice = Words(
        zh="预约不得在用户不知情时改动；征得同意后提交 agreed_with_customer: true。",
        en="An appointment is never moved without the customer; ask, then send "
        "agreed_with_customer: true.",
    )


class RescheduledTooOften(Conflict):
    slug = "rescheduled-too-often"
    title = Words(
        zh="因我方原因改约次数已达上限", en="The operator has moved this appointment often enough"
    )
    advice = Words(
        zh="因我方原因已改约 {times} 次（上限 {most}）；确需再改由班长提交 override: true 并说明。",
        en="Moved so far for the operator's own reasons: {times} (at most {most}); a supervisor "
        "may insist with override: true and a note.",
    )


# --- decisions ------------------------------------------------------------------------------------


def is_open(state: HoldState, expires_at: datetime, now: datetime) -> bool:
    """Tell whether a hold still keeps its slot."""
    return state is HoldState.HELD and expires_at > now


def check_open(state: HoldState, expires_at: datetime, now: datetime) -> None:
    """Check that a hold still keeps its slot. Raises HoldOver."""
    if not is_open(state, expires_at, now):
        told = HoldState.EXPIRED if state is HoldState.HELD else state
        raise HoldOver(state=told, expires_at=expires_at)


def check_fits(held: Needs, order: Needs) -> None:
    """Check that what was held is enough for an order. Raises HoldDoesNotFit, naming what is not.

    An order that has no grid yet fits; a hold made for no order fits any.
    """
    differs = [
        name
        for name, wrong in (
            ("work_order_id", held.order_id not in (None, order.order_id)),
            ("work_type", held.work_type != order.work_type),
            ("estimated_minutes", order.minutes > held.minutes),
            ("skills", not order.skills <= held.skills),
            ("grid_id", order.grid_id not in (None, held.grid_id)),
        )
        if wrong
    ]
    if differs:
        raise HoldDoesNotFit(differs=differs)


def check_may_change(
    cause: Cause, before: Iterable[Cause], *, most: int, override: bool, note: str
) -> None:
    """Check that an appointment may be changed once more for a cause.

    What lies with the customer or outside is counted and never refused. What lies with the operator
    is at most `most` times, of all such causes together, unless a supervisor insists and says why.
    Raises RescheduledTooOften.
    """
    if FAULT_OF[cause] is not Fault.OPERATOR:
        return
    times = sum(FAULT_OF[one] is Fault.OPERATOR for one in before)
    if times >= most and not (override and note):
        raise RescheduledTooOften(times=times, most=most)
