"""Whether somebody stands where they say: judged by distance, accuracy and how they came there.

Nobody is kept from working by it. What looks wrong needs a reason and is marked, so that a person
can look at it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from app.core.errors import Conflict
from app.core.geo import distance_m
from app.core.i18n import Words
from app.core.parameters import Parameter

FAR_METRES = Parameter(
    "visits.far_check_in_m",
    default=300.0,
    unit="m",
    words=Words(
        "签到点离地址超过此距离须说明原因", "A check-in farther from the address needs a reason"
    ),
)
WORST_ACCURACY = Parameter(
    "visits.worst_accuracy_m",
    default=200.0,
    unit="m",
    words=Words(
        "定位精度差于此值的签到予以标记，且只按此值计入距离",
        "A check-in of a worse accuracy is marked, and only so much of it counts in its favour",
    ),
)
FASTEST_KMH = Parameter(
    "visits.fastest_kmh",
    default=120.0,
    unit="km/h",
    words=Words(
        "与上一位置相比移动速度超过此值的签到须说明原因",
        "A check-in that takes a higher speed from the last known position needs a reason",
    ),
    least=1.0,
)

# Positions of the same minute say nothing of a speed: phones settle on a place only by and by.
SHORTEST = timedelta(minutes=1)


class FarReason(StrEnum):
    """Why a check-in is not where it should be."""

    ADDRESS_POINT_WRONG = "address_point_wrong"
    PHONE_POSITION_WRONG = "phone_position_wrong"
    MET_ELSEWHERE = "met_elsewhere"
    OTHER = "other"


class Mark(StrEnum):
    """What is odd about a check-in."""

    FAR = "far"
    IMPLAUSIBLE = "implausible"
    INACCURATE = "inaccurate"
    MOCKED = "mocked"


MARK_WORDS: dict[Mark, Words] = {
    Mark.FAR: Words(zh="离工单地址较远", en="far from the order's address"),
    Mark.IMPLAUSIBLE: Words(
        zh="与上一位置相比移动过快", en="too far from the last position for the time between"
    ),
    Mark.INACCURATE: Words(zh="定位精度差", en="of a poor accuracy"),
    Mark.MOCKED: Words(zh="手机报告为模拟定位", en="the phone says that its position is mocked"),
}


class FarFromAddress(Conflict):
    slug = "far-from-address"
    title = Words(zh="签到位置离工单地址较远", en="This is far from the order's address")
    advice = Words(
        zh="相距 {distance_m} 米（上限 {limit_m} 米）；确认无误请选择原因 far_reason 后重新签到。",
        en="It is {distance_m} m away (limit {limit_m} m); if that is right, send a far_reason.",
    )


class ImplausiblePosition(Conflict):
    slug = "implausible-position"
    title = Words(zh="签到位置与上一位置不符", en="This does not fit your last position")
    advice = Words(
        zh="{minutes} 分钟内移动 {distance_m} 米，时速 {speed_kmh} 公里（上限 {limit_kmh}）；"
        "确认无误请选择原因 far_reason 后重新签到。",
        en="It is {distance_m} m from there in {minutes} min, {speed_kmh} km/h (limit {limit_kmh});"
        " if that is right, send a far_reason.",
    )


class Position(NamedTuple):
    """Where a phone was when, by its own clock: WGS-84 degrees, accuracy in metres."""

    lon: float
    lat: float
    accuracy_m: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Limits:
    """The numbers a check-in is judged by: metres, metres, km/h."""

    far_m: float
    worst_accuracy_m: float
    fastest_kmh: float


class CheckedIn(NamedTuple):
    """A check-in that is accepted: metres from the address, the speed it takes from the last
    position in km/h, and what is odd about it. None is not known."""

    distance_m: float | None
    speed_kmh: float | None
    marks: Sequence[Mark]

    @property
    def questioned(self) -> bool:
        """Tell whether it needed a reason."""
        return Mark.FAR in self.marks or Mark.IMPLAUSIBLE in self.marks


def checked_in(
    here: Position,
    address: tuple[float, float] | None,
    last: Position | None,
    *,
    mocked: bool,
    limits: Limits,
    reason: FarReason | None,
) -> CheckedIn:
    """Judge a check-in by its distance to the address and by the last position of the same person.

    `address` is longitude and latitude in WGS-84. What the phone's accuracy leaves open counts in
    its favour, but not without bounds. Times are the phone's own: it may have been without a signal
    for hours. Raises FarFromAddress and ImplausiblePosition when nobody says why.
    """
    marks = []
    distance = speed = None
    if address is not None:
        distance = distance_m(*address, here.lon, here.lat)
        if distance - _doubt(here, limits) > limits.far_m:
            if reason is None:
                raise FarFromAddress(distance_m=round(distance), limit_m=round(limits.far_m))
            marks.append(Mark.FAR)
    if last is not None:
        way = distance_m(last.lon, last.lat, here.lon, here.lat)
        between = max(abs(here.at - last.at), SHORTEST)
        certain = max(0.0, way - _doubt(here, limits) - _doubt(last, limits))
        speed = certain / between.total_seconds() * 3.6
        if speed > limits.fastest_kmh:
            if reason is None:
                raise ImplausiblePosition(
                    distance_m=round(way),
                    minutes=round(between.total_seconds() / 60),
                    speed_kmh=round(speed),
                    limit_kmh=round(limits.fastest_kmh),
                )
            marks.append(Mark.IMPLAUSIBLE)
    if here.accuracy_m is not None and here.accuracy_m > limits.worst_accuracy_m:
        marks.append(Mark.INACCURATE)
    if mocked:
        marks.append(Mark.MOCKED)
    return CheckedIn(
        None if distance is None else round(distance, 1),
        None if speed is None else round(speed, 1),
        marks,
    )


def _doubt(position: Position, limits: Limits) -> float:
    return min(position.accuracy_m or 0.0, limits.worst_accuracy_m)
