"""When somebody is on shift, what they agree to, and which positions are kept, and how coarsely."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeVar
from uuid import UUID

from app.core.errors import Conflict
from app.core.geo import distance_m
from app.core.i18n import Words
from app.core.parameters import Parameter

# The words under which a technician agrees to positions, shown before each shift; whoever changes
# them counts up, and phones have to ask anew.
CONSENT_VERSION = 1
CONSENT_WORDS = Words(
    zh="当班期间允许向班组长显示我的大致位置（约百米精度），用于就近派单和安全保障；仅限本班次，"
    "最多保存三十天，可随时撤回，撤回后本班次的位置立即删除。不同意不影响接单。",
    en="While I am on this shift my supervisor may see about where I am, to within some hundred"
    " metres, to give orders to whoever is near and for my safety. It is for this shift only, kept"
    " for thirty days at most, and can be taken back at any time: what was kept of the shift is"
    " deleted then. Not agreeing has no effect on my orders.",
)

# What a phone's clock may be ahead, and how long ago what it did offline may have been.
AHEAD = timedelta(minutes=2)
LATEST = timedelta(hours=72)
MOST_POINTS = 200
# What one answer holds.
MOST_SEEN = 5_000
MOST_TRACKED = 5_000


class DutyEnd(StrEnum):
    """How a shift ended."""

    ENDED = "ended"
    LEFT_OPEN = "left_open"


class Dropped(StrEnum):
    """Why a position is not kept."""

    OFF_SHIFT = "off_shift"
    NO_CONSENT = "no_consent"
    TOO_OLD = "too_old"
    IN_THE_FUTURE = "in_the_future"
    INACCURATE = "inaccurate"
    THINNED = "thinned"


class AlreadyOnShift(Conflict):
    slug = "already-on-shift"
    title = Words(zh="已在当班", en="You are on shift already")
    advice = Words(
        zh="当前班次（编号 {id}）自 {began_at} 开始；请先结束，或继续该班次。",
        en="The shift {id} began at {began_at}: end it first, or go on with it.",
    )


class ShiftOver(Conflict):
    slug = "shift-over"
    title = Words(zh="该班次已结束", en="This shift is over")
    advice = Words(
        zh="已于 {ended_at} 结束，请开始新班次。", en="It ended at {ended_at}: begin anew."
    )


def _number(
    name: str, default: float, unit: str, zh: str, en: str, least: float, most: float
) -> Parameter:
    return Parameter(f"presence.{name}", default, unit, Words(zh=zh, en=en), least=least, most=most)


KEPT_DAYS = _number(
    "positions_kept_days", 30, "d", "位置的保存天数", "Days for which positions are kept", 1, 30
)
LONGEST_HOURS = _number(
    "longest_shift_hours",
    14,
    "h",
    "当班最长时数；超过后自动结束",
    "Hours after which a shift that nobody ended is over",
    4,
    24,
)
GRID_METERS = _number(
    "grid_meters",
    100,
    "m",
    "位置取整的网格边长",
    "The width of the squares to whose middle positions are rounded",
    50,
    1000,
)
LEAST_METERS = _number(
    "least_meters",
    150,
    "m",
    "两个位置之间的最小距离",
    "How far somebody has to have moved for another position to be kept",
    0,
    5000,
)
LEAST_SECONDS = _number(
    "least_seconds",
    60,
    "s",
    "两个位置之间的最短间隔",
    "The least time between two positions that are kept",
    10,
    3600,
)
LONGEST_SECONDS = _number(
    "longest_seconds",
    900,
    "s",
    "静止时两个位置之间的间隔",
    "The time after which a position is kept of whoever has not moved",
    60,
    7200,
)
WORST_METERS = _number(
    "worst_accuracy_meters",
    500,
    "m",
    "精度差于此的位置不予保存",
    "Positions that are less accurate than this are not kept",
    50,
    5000,
)


class Point(NamedTuple):
    """Where a phone was, by its own clock; WGS-84 degrees, and metres."""

    at: datetime
    lon: float
    lat: float
    accuracy_m: float


class Limits(NamedTuple):
    """What is kept of positions: the numbers in force."""

    kept: timedelta
    grid_m: float
    least_m: float
    least: timedelta
    longest: timedelta
    worst_m: float


class Duty(Protocol):
    """A shift, as far as positions mind it."""

    @property
    def began_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...
    @property
    def consent_from(self) -> datetime | None: ...


D = TypeVar("D", bound=Duty)


class Taken(NamedTuple):
    """What became of a batch of positions: how many are kept, and why the others are not."""

    kept: int
    dropped: Counter[Dropped]


def done_at(device_at: datetime, now: datetime) -> datetime:
    """Say when a shift began or ended that a phone tells of: at its own time, unless that lies in
    the future or too far back. Nobody's clock is judged by it."""
    return min(max(device_at, now - LATEST), now)


def coarse(lon: float, lat: float, meters: float) -> tuple[float, float]:
    """Move a point to the middle of its square; the squares are so many metres wide."""
    down = meters / 111_320
    row = math.floor(lat / down)
    middle = (row + 0.5) * down
    # All squares of a row are as wide, so that a place is rounded to the same one every time.
    across = down / max(math.cos(math.radians(middle)), 0.01)
    return round((math.floor(lon / across) + 0.5) * across, 6), round(middle, 6)


def kept_of(
    points: Iterable[Point],
    duties: Sequence[D],
    before: Point | None,
    limits: Limits,
    now: datetime,
) -> tuple[list[tuple[D, Point]], Counter[Dropped]]:
    """Choose which points of a batch are kept, rounded, and count why the others are not.

    `before` is the last one that was kept before the batch. Only what lies in a shift and in its
    consent is kept; of that, what is far enough from the one kept before in time and in place, or
    very far in time. The same batch gives the same choice.
    """
    kept: list[tuple[D, Point]] = []
    dropped: Counter[Dropped] = Counter()
    last = before
    for point in sorted(set(points)):
        duty = _duty_at(point.at, duties)
        why = _why_not(point, duty, limits, now)
        lon, lat = coarse(point.lon, point.lat, limits.grid_m)
        rounded = point._replace(lon=lon, lat=lat)
        if why is None and last is not None and _too_close(last, rounded, limits):
            why = Dropped.THINNED
        if why is not None:
            dropped[why] += 1
        elif duty is not None:
            kept.append((duty, rounded))
            last = rounded
    return kept, dropped


def _duty_at(at: datetime, duties: Sequence[D]) -> D | None:
    for duty in duties:
        if duty.began_at <= at and (duty.ended_at is None or at < duty.ended_at):
            return duty
    return None


def _why_not(point: Point, duty: Duty | None, limits: Limits, now: datetime) -> Dropped | None:
    if point.at > now + AHEAD:
        return Dropped.IN_THE_FUTURE
    if point.at <= now - limits.kept:
        return Dropped.TOO_OLD
    if duty is None:
        return Dropped.OFF_SHIFT
    if duty.consent_from is None or point.at < duty.consent_from:
        return Dropped.NO_CONSENT
    return Dropped.INACCURATE if point.accuracy_m > limits.worst_m else None


def _too_close(last: Point, point: Point, limits: Limits) -> bool:
    since = point.at - last.at
    if since < limits.least:
        return True
    moved = distance_m(last.lon, last.lat, point.lon, point.lat)
    return moved < limits.least_m and since < limits.longest


class OnShift(NamedTuple):
    """Somebody of a unit, as supervisors see who is there; moments are null where there is none."""

    technician_id: UUID
    code: str
    name: str
    org_unit_id: UUID
    on_shift_since: datetime | None
    last_seen_at: datetime | None
    streaming: bool
    shares_position: bool
