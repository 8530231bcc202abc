"""The slots a customer may choose from: when they are, until when, and what else may forbid one.

A template is dated data of an org unit and says that on certain weekdays a category of work has a
slot from one local time to another. Of all templates for a kind of work, those of the closest unit
that has any count.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.core.i18n import Words
from app.dispatch.rules.diaries import PassedOver
from app.grids.rules.asking import in_force, works_on
from app.worktypes.rules import WorkType

# The slot that begins this moment: a sale made at the door, installed in the same visit.
NOW_SLOT = "now"


class Template(NamedTuple):
    """A slot as an org unit's data have it: local times; `org_path` empty is for everybody.

    `closes_at` is a local time of the evening before, after which the slot is no longer offered;
    without it only the minutes before its beginning count. Monday's bit of `weekdays` is 1.
    """

    code: str
    org_path: str
    category: str
    work_types: Sequence[str]
    weekdays: int
    starts_at: time
    ends_at: time
    closes_at: time | None
    valid_from: date
    valid_to: date | None


class Slot(NamedTuple):
    """A slot of one local day, as aware moments (UTC): work may begin until `ends`.

    `work_types` are those its category stands for, `closes` is until when it may be taken.
    """

    code: str
    category: str
    work_types: frozenset[str]
    day: date
    begins: datetime
    ends: datetime
    closes: datetime


def slots_of(
    templates: Iterable[Template],
    work_type: WorkType,
    org_path: str,
    zone: ZoneInfo,
    days: Sequence[date],
    close_minutes: float,
) -> list[Slot]:
    """List the slots an org unit has for a kind of work on some local days, the first first."""
    ours = [
        one
        for one in templates
        if work_type in one.work_types and org_path.startswith(one.org_path)
    ]
    slots = []
    for day in days:
        dated = [one for one in ours if in_force(day, one.valid_from, one.valid_to)]
        closest = max((len(one.org_path) for one in dated), default=0)
        slots += [
            _on(one, day, zone, close_minutes)
            for one in dated
            if len(one.org_path) == closest and works_on(day, one.weekdays)
        ]
    return sorted(slots, key=lambda slot: (slot.begins, slot.ends, slot.code))


def _on(template: Template, day: date, zone: ZoneInfo, close_minutes: float) -> Slot:
    def moment(on: date, at: time) -> datetime:
        return datetime.combine(on, at, zone).astimezone(UTC)

    begins = moment(day, template.starts_at)
    closes = begins - timedelta(minutes=close_minutes)
    if template.closes_at is not None:
        closes = min(closes, moment(day - timedelta(days=1), template.closes_at))
    return Slot(
        template.code,
        template.category,
        frozenset(template.work_types),
        day,
        begins,
        moment(day, template.ends_at),
        closes,
    )


def slot_of_now(
    work_type: WorkType, now: datetime, zone: ZoneInfo, minutes: int, within: float
) -> Slot:
    """Make the slot that begins now and lets work of so many minutes end within `within` more."""
    ends = now + timedelta(minutes=within - minutes)
    return Slot(
        NOW_SLOT,
        NOW_SLOT,
        frozenset({work_type.value}),
        now.astimezone(zone).date(),
        now,
        ends,
        ends,
    )


class NotOffered(StrEnum):
    """Why a slot is not offered, from what holds for everybody to what is a matter of room."""

    HOLIDAY = "holiday"
    CLOSED = "closed"
    BEFORE_EARLIEST = "before_earliest"
    BEYOND_PROMISE = "beyond_promise"
    TOO_LONG_FOR_NOW = "too_long_for_now"
    LIMIT_REACHED = "limit_reached"
    NOBODY_ASSIGNED = "nobody_assigned"
    NOBODY_WITH_SKILL = "nobody_with_skill"
    NOBODY_ON_SHIFT = "nobody_on_shift"
    NO_STOCK = "no_stock"
    RESERVE_ONLY = "reserve_only"
    FULL = "full"


NOT_OFFERED_WORDS: dict[NotOffered, Words] = {
    NotOffered.HOLIDAY: Words(zh="当日不受理预约", en="no appointments are taken for that day"),
    NotOffered.CLOSED: Words(zh="该时段已截止受理", en="it is too late to choose this slot"),
    NotOffered.BEFORE_EARLIEST: Words(
        zh="早于可施工的最早时间", en="it begins before the work is possible"
    ),
    NotOffered.BEYOND_PROMISE: Words(
        zh="晚于承诺时限", en="it begins after the order is promised to be done"
    ),
    NotOffered.TOO_LONG_FOR_NOW: Words(
        zh="工时过长，无法在承诺时间内开通", en="the work takes longer than the promised time"
    ),
    NotOffered.LIMIT_REACHED: Words(
        zh="该时段的预约名额已用完", en="the limit of appointments is reached"
    ),
    NotOffered.NOBODY_ASSIGNED: Words(
        zh="该网格无人负责", en="nobody looks after the place or the neighbouring grids"
    ),
    NotOffered.NOBODY_WITH_SKILL: Words(
        zh="无人具备所需技能", en="nobody who may come has the skills"
    ),
    NotOffered.NOBODY_ON_SHIFT: Words(
        zh="该时段无人当班", en="nobody who may come is at work then, or for long enough"
    ),
    NotOffered.NO_STOCK: Words(
        zh="可上门人员车上没有所需终端", en="nobody who may come has its terminals in the van"
    ),
    NotOffered.RESERVE_ONLY: Words(
        zh="剩余工时仅留给紧急工单", en="what is left is kept for urgent work"
    ),
    NotOffered.FULL: Words(zh="已约满", en="it is full"),
}

# In the order in which somebody comes nearer to keeping the slot.
_FULL = (
    PassedOver.NO_MINUTES_LEFT,
    PassedOver.WINDOW_TAKEN,
    PassedOver.ROUTE_FULL,
    PassedOver.RATIO_USED_UP,
)


_AWAY = (
    PassedOver.NOT_ON_SHIFT,
    PassedOver.ON_LEAVE,
    PassedOver.LENT_OUT,
    PassedOver.WINDOW_UNREACHABLE,
)


def nobody(whys: Iterable[PassedOver]) -> NotOffered:
    """Say why nobody keeps a slot, by what the one who came nearest lacks."""
    met = set(whys)
    if met & set(_FULL):
        return NotOffered.FULL
    if PassedOver.NO_STOCK in met:
        return NotOffered.NO_STOCK
    if met & set(_AWAY):
        return NotOffered.NOBODY_ON_SHIFT
    if met & {PassedOver.NO_SKILL, PassedOver.DECLINED_BEFORE}:
        return NotOffered.NOBODY_WITH_SKILL
    return NotOffered.NOBODY_ASSIGNED


class Terms(NamedTuple):
    """What one question asks of every slot. Aware moments; no `due_at` is no promise."""

    now: datetime
    earliest: datetime | None
    due_at: datetime | None
    later_agreed: bool


def why_not_then(slot: Slot, terms: Terms) -> NotOffered | None:
    """Say what time itself has against a slot; None when nothing has.

    Beyond the promise a slot is offered only when the customer has agreed to come later.
    """
    if slot.code == NOW_SLOT:
        return None if slot.ends > slot.begins else NotOffered.TOO_LONG_FOR_NOW
    if slot.closes <= terms.now:
        return NotOffered.CLOSED
    if terms.earliest is not None and slot.begins < terms.earliest:
        return NotOffered.BEFORE_EARLIEST
    if beyond(slot, terms.due_at) and not terms.later_agreed:
        return NotOffered.BEYOND_PROMISE
    return None


def beyond(slot: Slot, due_at: datetime | None) -> bool:
    """Tell whether a slot begins after an order is promised to be done."""
    return due_at is not None and slot.begins > due_at


class Limit(NamedTuple):
    """An operator's own bound on appointments of a local day; "" is every category or slot.

    `org_path` is its unit's. It bounds that unit; of the units above, only a limit of nothing does.
    """

    org_path: str
    day: date
    category: str
    slot: str
    most: int

    def bounds(self, slot: Slot, org_path: str) -> bool:
        """Tell whether the limit bounds a slot of a unit."""
        return (
            self.day == slot.day
            and self.category in ("", slot.category)
            and self.slot in ("", slot.code)
            and (
                self.org_path == org_path or (self.most == 0 and org_path.startswith(self.org_path))
            )
        )
