"""Wire shapes of reconciliation, for supervisors."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Day, Input, Line, Note
from app.core.i18n import Lang
from app.core.paging import NextPage
from app.reconciliation.models import ReconciliationCase
from app.reconciliation.queries import Sum
from app.reconciliation.rules import (
    KIND_WORDS,
    LEGAL,
    RESOLUTION_WORDS,
    DifferenceKind,
    DifferenceState,
    Explanation,
    Heal,
    Resolution,
    RunState,
)


class ReconciliationIn(Input):
    """A day to be compared; sent again, answered like at first."""

    id: UUID = Field(description="Made by whoever asks, a UUIDv7.")
    day: Day
    org_unit_id: UUID | None = Field(
        default=None, description="The unit, with all under it; the caller's own unless given."
    )


class ReconciliationRunOut(Answer):
    """A comparison of a day, and how far it is."""

    id: UUID
    day: date
    org_unit_id: UUID
    state: RunState
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    orders_read: int
    orders_expected: int | None = Field(description="Null where the other side does not say.")
    sales: int | None = Field(description="How many sales were compared; null until it is done.")
    last_error: Note | None


class UnitSumOut(Answer):
    """What a day came to for one unit: sales = equal + healed + open + explained."""

    org_unit_id: UUID
    org_unit_code: Line
    org_unit_name: Line
    at: datetime = Field(description="When it was compared last.")
    sales: int
    equal: int
    healed: int
    open: int
    explained: int = Field(description="By a person, or by a delivery that is under way.")
    orders: int = Field(description="Orders of the other side that belong to no sale of the day.")
    orders_open: int
    orders_explained: int

    @classmethod
    def of(cls, found: Sum, lang: Lang) -> Self:
        """Write a unit's sum in one language."""
        own = {name: getattr(found, name) for name in cls.model_fields if name != "org_unit_name"}
        return cls(**own, org_unit_name=found.name_zh if lang == "zh" else found.name_en)


class MismatchOut(Answer):
    """The share of what waits for a person among what was compared."""

    numerator: int
    denominator: int
    share: float | None


class ReconciliationDayOut(Answer):
    """What a day came to: nothing is ever unaccounted for."""

    day: date
    sales: int
    equal: int
    healed: int
    open: int
    explained: int
    orders: int
    orders_open: int
    orders_explained: int
    unaccounted: int = Field(description="Sales and orders that lie in no bin; always zero.")
    reconcile_mismatch: MismatchOut
    units: Annotated[list[UnitSumOut], Field(max_length=10_000)]

    @classmethod
    def of(cls, day: date, found: Sequence[Sum], lang: Lang) -> Self:
        """Write a day's sum in one language."""
        names = [
            "sales",
            "equal",
            "healed",
            "open",
            "explained",
            "orders",
            "orders_open",
            "orders_explained",
        ]
        total = {name: sum(getattr(each, name) for each in found) for name in names}
        binned = sum(total[name] for name in ("equal", "healed", "open", "explained"))
        orders_binned = total["orders_open"] + total["orders_explained"]
        mismatched, compared = (
            total["open"] + total["orders_open"],
            total["sales"] + total["orders"],
        )
        return cls(
            day=day,
            **total,
            unaccounted=abs(total["sales"] - binned) + abs(total["orders"] - orders_binned),
            reconcile_mismatch=MismatchOut(
                numerator=mismatched,
                denominator=compared,
                share=mismatched / compared if compared else None,
            ),
            units=[UnitSumOut.of(each, lang) for each in found],
        )


class SaleDifferenceOut(Answer):
    """A difference between what we sold and what the ordering system has."""

    id: UUID
    day: date
    org_unit_id: UUID
    kind: DifferenceKind | None = Field(description="Null for what was put right by itself.")
    words: Note | None = Field(description="The kind in words.")
    heal: Heal | None = Field(description="What was put right by itself.")
    state: DifferenceState
    sale_id: UUID | None
    order_id: Note | None = Field(description="The ordering system's id of the order.")
    facts: dict[str, Any] = Field(
        description="`ours`, `theirs` and, where one sale has several orders, `others`: states, "
        "items and amounts in fen as they were when it was last seen."
    )
    first_seen_at: datetime
    last_seen_at: datetime
    times_seen: int
    possible: Annotated[list[Resolution], Field(max_length=10)] = Field(
        description="What a person can do about it now."
    )
    resolution: Resolution | None
    explanation: Explanation | None
    note: Note | None
    resolved_at: datetime | None
    last_error: Note | None = Field(description="Why what was chosen could not be done.")

    @classmethod
    def of(cls, case: ReconciliationCase, lang: Lang) -> Self:
        """Write a difference in one language."""
        written = {"words", "possible"}
        own = {name: getattr(case, name) for name in cls.model_fields if name not in written}
        open_ = case.state is DifferenceState.OPEN and case.kind is not None
        return cls(
            **own,
            words=KIND_WORDS[case.kind].say(lang) if case.kind else None,
            possible=list(LEGAL[case.kind]) if open_ and case.kind else [],
        )


class SaleDifferencePage(Answer):
    """A page of differences, the latest first."""

    cases: Annotated[list[SaleDifferenceOut], Field(max_length=200)]
    next_page_token: NextPage


class ResolveIn(Input):
    """What is to be done about a difference."""

    resolution: Resolution
    explanation: Explanation | None = Field(default=None, description="To explain: why.")
    sale_id: UUID | None = Field(default=None, description="To link: the sale it belongs to.")
    order_id: str | None = Field(
        default=None, min_length=1, max_length=200, description="Which of several orders is meant."
    )
    note: str | None = Field(default=None, min_length=1, max_length=500)


class ResolutionOut(Answer):
    """Something that can be done about a kind of difference."""

    kind: DifferenceKind
    kind_words: Note
    resolution: Resolution
    words: Note


class ResolutionsOut(Answer):
    """What can be done about each kind of difference, in words."""

    resolutions: Annotated[list[ResolutionOut], Field(max_length=100)]

    @classmethod
    def of(cls, lang: Lang) -> Self:
        """Write them in one language."""
        return cls(
            resolutions=[
                ResolutionOut(
                    kind=kind,
                    kind_words=KIND_WORDS[kind].say(lang),
                    resolution=each,
                    words=RESOLUTION_WORDS[each].say(lang),
                )
                for kind, legal in LEGAL.items()
                for each in legal
            ]
        )
