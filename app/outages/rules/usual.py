"""How many reports a place usually has, and how surprising it is to see more. Pure.

A port has a report in months, a grid several a day, and each has its own hours. What is counted of
a place is therefore mixed with what is known of the place around it, by the strength of so many
weeks: a rate is not a number but a gamma distribution, and what is to be expected in a window of
time is a negative binomial one. So a place of which little is known is not taken at its word.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from app.outages.rules.places import Place, PlaceKind

HOURS = 168
"""Hours of a week, counted from Monday midnight, local time."""

# Reports a week where nothing has been learned yet, in the order of what an operator sees.
UNLEARNED: dict[PlaceKind, float] = {
    PlaceKind.PORT: 0.1,
    PlaceKind.OLT: 3.0,
    PlaceKind.COMPOUND: 1.5,
    PlaceKind.GRID: 8.0,
}
# With so few weeks' strength such a guess is believed.
UNLEARNED_WEEKS = 1.0


class Rate(NamedTuple):
    """What is believed of a place's reports a week: a gamma distribution of that many `reports` in
    that many `weeks`."""

    reports: float
    weeks: float

    @property
    def mean(self) -> float:
        """The expected number of reports a week."""
        return self.reports / self.weeks


def unlearned(kind: PlaceKind) -> Rate:
    """Say what is believed of a place of which nothing is known."""
    return Rate(UNLEARNED[kind] * UNLEARNED_WEEKS, UNLEARNED_WEEKS)


def shrunk(reports: int, weeks: float, around: float, strength: float) -> Rate:
    """Believe a place's own count by its weeks, and the mean of the places `around` it (reports a
    week) by a strength given in weeks."""
    return Rate(reports + around * strength, weeks + strength)


def rhythm(
    counts: Mapping[int, int], around: Sequence[float] | None, strength: float
) -> list[float]:
    """Learn how reports spread over the hours of a week, by counts of hours (0 is Monday midnight).

    The answer has the mean 1. Counts are mixed with the rhythm `around` (None: even) by a strength
    in reports.
    """
    wider = around or [1.0] * HOURS
    total = sum(counts.values()) + strength
    if total <= 0:
        return list(wider)
    return [
        (counts.get(hour, 0) + strength * wider[hour] / HOURS) * HOURS / total
        for hour in range(HOURS)
    ]


def hour_of_week(local: datetime) -> int:
    """Number the hour of a local moment within its week."""
    return local.weekday() * 24 + local.hour


def exposure(rhythm_: Sequence[float], local: datetime, minutes: float) -> float:
    """Say how much of a week's reports fall into the minutes before a local moment, in weeks."""
    whole, moment, left = 0.0, local, minutes
    while left > 0:
        # A moment on the hour ends the hour before it.
        within = moment.minute + moment.second / 60 + moment.microsecond / 60e6 or 60.0
        part = min(within, left)
        last = moment - timedelta(microseconds=1)
        whole += rhythm_[hour_of_week(last)] * part / 60
        moment -= timedelta(minutes=part)
        left -= part
    return whole / HOURS


def surprise(reports: int, rate: Rate, weeks: float) -> float:
    """Say how surprising it is that a place has at least so many reports in a time of so many
    weeks: minus the decimal logarithm of the probability. 6 is one in a million.

    The upper tail of the negative binomial distribution is added up from its first term on, in
    logarithms, so that it is right where the probability is tiny.
    """
    if reports <= 0:
        return 0.0
    shape, share = rate.reports, weeks / (rate.weeks + weeks)
    if share <= 0 or shape <= 0:
        return math.inf
    first = (
        math.lgamma(reports + shape)
        - math.lgamma(shape)
        - math.lgamma(reports + 1)
        + shape * math.log1p(-share)
        + reports * math.log(share)
    )
    total, term, count = 1.0, 1.0, reports
    # Terms grow only up to the mean; beyond it each is smaller than the one before.
    while term > total * 1e-12:
        term *= (count + shape) / (count + 1) * share
        total += term
        count += 1
        if count > reports + 100_000:
            break
    return max(0.0, -(first + math.log(total)) / math.log(10))


@dataclass(frozen=True)
class Usual:
    """What is known of a district: its rhythm, and the rates of the places asked about.

    `places` is how many places are watched in it, and `total` how many reports it has in a week.
    """

    rhythm: Sequence[float] = (1.0,) * HOURS
    rates: Mapping[Place, Rate] = field(default_factory=dict)
    places: int = 100
    total: float = 0.0

    def rate(self, place: Place) -> Rate:
        """Say what is believed of a place."""
        return self.rates.get(place) or unlearned(place.kind)
