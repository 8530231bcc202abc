"""Wire shapes of decisions, orders given by hand, and shared points."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.http import Answer, Day, Input
from app.core.i18n import Words
from app.dispatch.models import DispatchDecision, DispatchPin
from app.dispatch.rules import KIND_WORDS, REASON_WORDS, Kind, PassedOver, reason_words
from app.dispatch.rules.urgent import DISPLACED_WORDS, DISPLACES_WORDS
from app.dispatch.rules.words import COST_WORDS


class WordsOut(Answer):
    """The same in Chinese and in English."""

    zh: str = Field(max_length=200)
    en: str = Field(max_length=200)


Seconds = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]


class CostOut(Answer):
    """What an order costs with somebody, in seconds of travel or what is thought worth as much."""

    travel_s: Seconds = Field(description="What their ways of the day grow by.")
    ownership_s: Seconds = Field(description="For who they are to the order's grid.")
    lateness_s: Seconds = Field(
        description="Lateness of this order and of others that it makes late, weighted."
    )
    imbalance_s: Seconds = Field(description="For work beyond a fair share of the day.")
    repeat_s: Seconds = Field(
        description="For a repeat fault that is not done by whom the setting prefers."
    )
    total_s: Seconds
    more_than_chosen_s: Seconds = Field(description="By how much they lost; 0: they won.")


class CandidateOut(Answer):
    """Somebody who was considered for an order, the cheapest by who they are first."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    kind: Kind = Field(description="How they belong to the order's grid.")
    kind_words: WordsOut
    rank: int | None = Field(ge=0, le=1000, description="Among those of the same kind.")
    distance_m: int | None = Field(
        ge=0, le=20_040_000, description="To their own grid, for a neighbour."
    )
    passed_over: PassedOver | None = Field(description="Why not; null for the one chosen.")
    passed_over_words: WordsOut | None
    cost: CostOut | None = Field(
        description="Known of those who could have had it that day; null for the others."
    )


class PinOut(Answer):
    """An order that a person gave to somebody: nothing but a person moves it."""

    work_order_id: UUID
    technician_id: UUID
    day: date = Field(description="A local day of the technician's org unit.")
    at: datetime
    account_id: UUID | None
    reason: str = Field(max_length=2000)


class DecisionOut(Answer):
    """Why an order went where it went, or why nobody has it."""

    work_order_id: UUID
    at: datetime
    grid_id: UUID | None
    technician_id: UUID | None
    planned_day: date | None
    reason: str = Field(
        max_length=40,
        description="How the chosen one belongs to the grid, `by_hand`, `passed_on` by a colleague,"
        " or why there is none.",
    )
    reason_words: WordsOut
    note: str | None = Field(max_length=2000, description="What the supervisor gave as the reason.")
    account_id: UUID | None = Field(description="Who sent the order or gave it by hand.")
    candidates: list[CandidateOut] = Field(max_length=100)
    cost_words: dict[str, WordsOut] = Field(description="What each part of a cost is called.")
    not_considered: int = Field(
        ge=0, le=100_000, description="Others whom nobody needed to look at."
    )
    displaced_id: UUID | None = Field(
        description="The order that gave way to this one, which nobody had room for that day."
    )
    displaced_by_id: UUID | None = Field(description="The urgent order to which this one gave way.")
    displacement_words: WordsOut | None
    pin: PinOut | None = Field(description="Who pinned the order to its holder; null if nobody.")

    @classmethod
    def of(
        cls,
        decision: DispatchDecision,
        people: Mapping[UUID, tuple[str, str]],
        pin: DispatchPin | None,
    ) -> Self:
        """Write a stored decision out, with the people's codes and names by their ids."""
        entries = [entry for entry in decision.candidates if "t" in entry]
        displaced = next((one["d"] for one in decision.candidates if "d" in one), None)
        displaced_by = next((one["b"] for one in decision.candidates if "b" in one), None)
        words = DISPLACES_WORDS if displaced else DISPLACED_WORDS if displaced_by else None
        least = next((sum(one["c"]) for one in entries if "c" in one and "w" not in one), 0)
        return cls(
            work_order_id=decision.work_order_id,
            at=decision.at,
            grid_id=decision.grid_id,
            technician_id=decision.technician_id,
            planned_day=decision.planned_day,
            reason=decision.reason,
            reason_words=_words(reason_words(decision.reason)),
            note=decision.note,
            account_id=decision.account_id,
            candidates=[_candidate(entry, people, least) for entry in entries],
            cost_words={part: _words(said) for part, said in COST_WORDS.items()},
            not_considered=sum(entry.get("n", 0) for entry in decision.candidates),
            displaced_id=displaced,
            displaced_by_id=displaced_by,
            displacement_words=words and _words(words),
            pin=PinOut.model_validate(pin) if pin else None,
        )


def _candidate(
    entry: Mapping[str, Any], people: Mapping[UUID, tuple[str, str]], least: int
) -> CandidateOut:
    technician_id, kind = UUID(entry["t"]), Kind(entry["k"])
    code, name = people[technician_id]
    why = PassedOver(entry["w"]) if "w" in entry else None
    return CandidateOut(
        technician_id=technician_id,
        code=code,
        name=name,
        kind=kind,
        kind_words=_words(KIND_WORDS[kind]),
        rank=entry.get("r"),
        distance_m=entry.get("m"),
        passed_over=why,
        passed_over_words=_words(REASON_WORDS[why]) if why else None,
        cost=_cost(entry["c"], least) if "c" in entry else None,
    )


def _cost(terms: Sequence[int], least: int) -> CostOut:
    travel, owned, late, uneven, *repeat = terms
    return CostOut(
        travel_s=travel,
        ownership_s=owned,
        lateness_s=late,
        imbalance_s=uneven,
        repeat_s=sum(repeat),
        total_s=sum(terms),
        more_than_chosen_s=sum(terms) - least,
    )


def _words(words: Words) -> WordsOut:
    return WordsOut(zh=words.zh, en=words.en)


class AssignIn(Input):
    """An order given to somebody by hand."""

    technician_id: UUID
    day: Annotated[Day, Field(description="A local day of the technician's org unit.")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]
    version: Annotated[
        int,
        Field(
            ge=1,
            le=2**31 - 1,
            description="The order's version you saw; another is refused with 409.",
        ),
    ]
    override: Annotated[
        bool, Field(description="Give it although a rule says no; never to an inactive person.")
    ] = False
    pin: Annotated[
        bool,
        Field(description="Nothing but a person moves it afterwards: no placing and no plan."),
    ] = True


class PinIn(Input):
    """Why an order has to stay where it is."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class SharedPointOut(Answer):
    """A point that orders of many localities share: most likely a geocoder's stand-in."""

    lon_e6: int = Field(ge=-180_000_000, le=180_000_000, description="WGS-84 degrees, millionths.")
    lat_e6: int = Field(ge=-90_000_000, le=90_000_000, description="WGS-84 degrees, millionths.")
    localities: int = Field(
        ge=0, le=2**31 - 1, description="How many different ones were named there."
    )
    orders: int = Field(ge=0, le=2**31 - 1, description="Orders of yours that wait there.")
    flagged_at: datetime
    trusted_at: datetime | None = Field(description="When somebody said that the point is real.")


class SharedPointsOut(Answer):
    """The flagged points at which orders wait, the worst first."""

    points: list[SharedPointOut] = Field(max_length=200)
