"""What a customer has answered, on any channel, and of what it is therefore not spoken for a while.

A visit and every other channel ask the same table, so that a "no" at the door is heard in the call
centre, and one on the telephone at the door. Days are local days.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from math import ceil
from typing import NamedTuple, Protocol

from app.suggestions.rules import AnswerKind, DeclineReason, HeldBack
from app.suggestions.rules.limits import Limits


class Spoken(NamedTuple):
    """What a customer said to an offer on a day, and the day they named if they did.

    `code` and `category` are null where only a campaign was named, and not the offering.
    `reason` is why they declined, where that was asked.
    """

    day: date
    answer: str | None
    code: str | None
    category: str | None
    later_on: date | None = None
    reason: str | None = None


class Silent(Protocol):
    """Whatever knows the answers of a customer as `Silence` does."""

    @property
    def stopped_on(self) -> date | None: ...
    @property
    def dissatisfied_on(self) -> date | None: ...
    @property
    def declined_on(self) -> Mapping[str, date]: ...
    @property
    def declined_group_on(self) -> Mapping[str, date]: ...
    @property
    def accepted_on(self) -> Mapping[str, date]: ...
    @property
    def later_on(self) -> Mapping[str, date]: ...


@dataclass(frozen=True)
class Silence:
    """What the answers of a customer come to; the mappings go by offering, or by category.

    `refusals` counts those of the last `refusal_days`, and `stopped_on` is the day of the last one
    that was one too many: from it on nothing is sold for `refusal_days`. `dissatisfied_on` is the
    last day on which they declined because they are not satisfied.
    """

    refusals: int = 0
    stopped_on: date | None = None
    dissatisfied_on: date | None = None
    declined_on: Mapping[str, date] = field(default_factory=dict)
    declined_group_on: Mapping[str, date] = field(default_factory=dict)
    accepted_on: Mapping[str, date] = field(default_factory=dict)
    later_on: Mapping[str, date] = field(default_factory=dict)


def silence_of(said: Sequence[Spoken], today: date, limits: Limits) -> Silence:
    """Sum up what a customer said, the oldest first, so that of several answers the newest stays.

    Refusals of twice `refusal_days` are needed: one that stopped selling had others before it.
    """
    declined = [one for one in said if one.answer == AnswerKind.DECLINED]
    refused_on = sorted(one.day for one in declined)
    return Silence(
        refusals=sum(today - day < timedelta(days=limits.refusal_days) for day in refused_on),
        stopped_on=stopped_on(refused_on, limits),
        dissatisfied_on=max(
            (one.day for one in declined if one.reason == DeclineReason.DISSATISFIED), default=None
        ),
        declined_on={one.code: one.day for one in declined if one.code},
        declined_group_on={one.category: one.day for one in declined if one.category},
        accepted_on={
            one.code: one.day for one in said if one.code and one.answer == AnswerKind.ACCEPTED
        },
        later_on={one.code: one.later_on for one in said if one.code and one.later_on is not None},
    )


def stopped_on(refused_on: Sequence[date], limits: Limits) -> date | None:
    """Give the day of the last refusal that was one too many within `refusal_days`, if one was.

    The days come in order. Selling stops from that day on, however old the first of them is.
    """
    most = int(limits.refusals)
    spans = ((refused_on[at - most + 1], refused_on[at]) for at in range(most - 1, len(refused_on)))
    days = [last for first, last in spans if last - first < timedelta(days=limits.refusal_days)]
    return max(days, default=None)


# Until which day an offering, by its code and category, is not spoken of; None keeps no silence.
Until = Callable[[Silent, str, str, Limits], date | None]


def _after(day: date | None, days: float) -> date | None:
    return None if day is None else day + timedelta(days=ceil(days))


SILENCES: Mapping[HeldBack, Until] = {
    HeldBack.JUST_ACCEPTED: lambda said, code, category, limits: _after(
        said.accepted_on.get(code), limits.accepted_days
    ),
    HeldBack.DECLINED_RECENTLY: lambda said, code, category, limits: _after(
        said.declined_on.get(code), limits.declined_days
    ),
    HeldBack.DECLINED_GROUP: lambda said, code, category, limits: _after(
        said.declined_group_on.get(category), limits.declined_group_days
    ),
    HeldBack.ASKED_FOR_LATER: lambda said, code, category, limits: said.later_on.get(code),
}


def stopped_until(said: Silent, limits: Limits) -> date | None:
    """Give the day on which selling may begin again after too many refusals; None never stopped."""
    return _after(said.stopped_on, limits.refusal_days)


def unhappy_until(said: Silent, limits: Limits) -> date | None:
    """Give the day on which selling may begin again to who said that they are not satisfied: it is
    as long as after a complaint. None never said so."""
    return _after(said.dissatisfied_on, limits.complaint_days)
