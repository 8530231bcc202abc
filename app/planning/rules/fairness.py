"""Who had more and who had less than others in the last month, and what a plan makes of it. Pure.

What somebody had is held against the hours that they were there, and that against the median of
their branch: so holidays and part time weigh nothing. A sale opportunity is a visit at which at
least one offer was shown.
"""

import statistics
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters

MONTH = 31
"""Days of the rolling month: what a report reads of each person at most."""

LEANING_MOST = Parameter(
    name="planning.fairness_most_percent",
    default=15,
    unit="%",
    words=Words(
        zh="近一个月忙闲不均时，规划中合理工作量最多上调或下调多少",
        en="By how much at most a plan raises or lowers somebody's fair share of work, since they"
        " had less or more of it in the last month",
    ),
    most=100,
)
LEAST_HOURS = Parameter(
    name="planning.fairness_least_hours",
    default=40,
    unit="h",
    words=Words(
        zh="近一个月当班不足多少小时的人不参与比较",
        en="Whoever was there for fewer hours in the last month is not compared with others",
    ),
    most=400,
)
TOLERANCE = Parameter(
    name="planning.fairness_tolerance_percent",
    default=15,
    unit="%",
    words=Words(
        zh="与中位数相差多少以内视为持平",
        en="How far from the median of the branch something still counts as even",
    ),
    most=100,
)
LONGEST_WORK = Parameter(
    name="planning.longest_work_minutes",
    default=480,
    unit="min",
    words=Words(
        zh="一次上门最多计多少工时（忘记回单）",
        en="How much of one stay at a door is counted at most: some forget to end it",
    ),
    least=30,
    most=1_440,
)


class Measure(StrEnum):
    """What is shared out among the technicians of a branch."""

    MINUTES = "minutes"  # at doors and on ways
    KM = "km"
    VISITS = "visits"
    OPPORTUNITIES = "opportunities"


MEASURE_WORDS: dict[Measure, Words] = {
    Measure.MINUTES: Words(zh="工作时长", en="minutes of work and travel"),
    Measure.KM: Words(zh="行驶里程", en="kilometres travelled"),
    Measure.VISITS: Words(zh="上门次数", en="visits"),
    Measure.OPPORTUNITIES: Words(zh="随销机会", en="sale opportunities"),
}


class Standing(StrEnum):
    """How somebody's share compares with the median of the branch."""

    LESS = "less"
    EVEN = "even"
    MORE = "more"
    UNKNOWN = "unknown"  # they were not there for long enough, or nobody had any


STANDING_WORDS: dict[Standing, Words] = {
    Standing.LESS: Words(
        zh="{measure}低于所在组织中位数 {percent}%",
        en="{percent}% fewer {measure} than the median of the org unit",
    ),
    Standing.EVEN: Words(
        zh="{measure}与所在组织中位数持平", en="{measure}: about the median of the org unit"
    ),
    Standing.MORE: Words(
        zh="{measure}高于所在组织中位数 {percent}%",
        en="{percent}% more {measure} than the median of the org unit",
    ),
    Standing.UNKNOWN: Words(
        zh="{measure}：数据不足，无法比较", en="{measure}: too little to compare"
    ),
}


def standing(ratio: float | None, tolerance: float) -> Standing:
    """Say how a ratio to the median stands; `tolerance` is a part of it, from 0 to 1."""
    if ratio is None:
        return Standing.UNKNOWN
    if ratio > 1 + tolerance:
        return Standing.MORE
    return Standing.LESS if ratio < 1 - tolerance else Standing.EVEN


def hint(measure: Measure, ratio: float | None, tolerance: float) -> Words:
    """Say it in words."""
    words, name = STANDING_WORDS[standing(ratio, tolerance)], MEASURE_WORDS[measure]
    percent = 0 if ratio is None else round(abs(ratio - 1) * 100)
    return Words(
        zh=words.zh.format(measure=name.zh, percent=percent),
        en=words.en.format(measure=name.en, percent=percent),
    )


class Past(NamedTuple):
    """Somebody's last month: seconds on shift, and of work at doors and on ways."""

    present: int
    worked: int


NO_PAST = Past(0, 0)


def leanings(past: Mapping[UUID, Past], *, least_present: int, most: float) -> dict[UUID, float]:
    """Say by which factor each of those who plan together should have more or less than a fair
    share of work: whoever had a tenth more of it an hour than the median gets a tenth less.

    Between 1 - `most` and 1 + `most`; 1 for whoever was there for fewer than `least_present`
    seconds, and for all while the median is nothing.
    """
    rates = {
        who: one.worked / one.present
        for who, one in past.items()
        if one.present >= max(1, least_present)
    }
    median = statistics.median(rates.values()) if rates else 0.0
    if median <= 0:
        return dict.fromkeys(past, 1.0)
    return {
        who: min(max(2 - rates[who] / median, 1 - most), 1 + most) if who in rates else 1.0
        for who in past
    }


def leanings_of(
    past: Mapping[UUID, Past], numbers: Parameters, now: datetime, org_path: str
) -> dict[UUID, float]:
    """The same with the numbers in force at a moment for an org unit, given by its path."""
    return leanings(
        past,
        least_present=round(numbers.number(LEAST_HOURS, now, org_path) * 3600),
        most=numbers.number(LEANING_MOST, now, org_path) / 100,
    )
