"""What becomes of orders that are sent, and what may be refused."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid, Problem
from app.core.i18n import Words
from app.workorders.rules import UnplacedReason

PointKey = tuple[int, int]  # longitude and latitude in WGS-84 degrees times a million


def key_of(lon: float, lat: float) -> PointKey:
    """Name a place to a millionth of a degree, which is 11 cm; WGS-84 degrees."""
    return round(lon * 1_000_000), round(lat * 1_000_000)


class Verdict(StrEnum):
    """What became of an order that was sent.

    `waiting` is one that was taken in although placing failed; it is placed soon afterwards.
    """

    PLACED = "placed"
    UNPLACED = "unplaced"
    WAITING = "waiting"
    DUPLICATE = "duplicate"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The verdict on one draft, with the order's id or the refusal."""

    verdict: Verdict
    id: UUID | None = None
    reason: UnplacedReason | None = None
    problem: Problem | None = None


class Judged(NamedTuple):
    """A line's verdict; `through` is the last line it stands for, mostly the line itself."""

    number: int
    through: int
    external_id: str | None
    outcome: Outcome


class BulkKind(StrEnum):
    """What one command did to many orders."""

    GIVE = "give"  # to somebody, on a day
    TAKE_BACK = "take_back"  # from whoever holds them
    REORDER = "reorder"  # of one person's day; nothing changes hands
    UNDO = "undo"  # of one of the others


class OrderChanged(Conflict):
    slug = "order-changed-meanwhile"
    title = Words(zh="工单已被他人更改", en="Somebody else has changed this order meanwhile")
    advice = Words(
        zh="工单现为 {state}（版本 {version}，持单人 {holder_id}）；请刷新后再决定。",
        en="It is {state} now (version {version}, held by {holder_id}); look again and decide.",
    )


class CannotTake(Conflict):
    slug = "technician-cannot-take"
    title = Words(zh="该人员无法承接此工单", en="This person cannot take the order")
    advice = Words(
        zh="{day}：{why_zh}。确需指派请设 override 为 true（已停用人员除外）。",
        en="On {day}: {why_en}. Set override to true if you insist (never for an inactive person).",
    )


class UnknownTechnician(Invalid):
    slug = "unknown-technician"
    title = Words(zh="没有该装维人员", en="No such technician")
    advice = Words(
        zh="人员 {technician_id} 不存在，或不在您的管辖范围内。",
        en="The technician {technician_id} does not exist, or is not within your area.",
    )


class DayOutOfRange(Invalid):
    slug = "day-out-of-range"
    title = Words(zh="日期超出可派范围", en="This day cannot be planned")
    advice = Words(zh="可选 {first} 至 {last}。", en="Choose a day from {first} to {last}.")


class NotTakenIn(Problem):
    slug, status = "not-taken-in", 502
    title = Words(zh="服务器未接收工单", en="The server took no orders in")
    advice = Words(
        zh="{url}：{answer}。已接收 {taken_in} 行；解决后可整体重发，已接收的不会重复。",
        en="{url}: {answer}. {taken_in} rows are taken in; mend it and send all again, what is "
        "known is not doubled.",
    )
