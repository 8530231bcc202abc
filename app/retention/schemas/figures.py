"""Wire shapes of what retention brings: its effect, and the levers beside their harm."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.catalog.rules import ValueLever
from app.core.http import Answer
from app.retention.queries.effects import Counted
from app.retention.rules import Arm, Cause
from app.retention.rules.cases import CAUSE_WORDS
from app.retention.rules.effects import Kept, effect, interval
from app.retention.rules.levers import LEVER_WORDS, Figure, Pair, Unit
from app.retention.rules.market import MarketFigure
from app.retention.schemas.toolkits import WordsOut

Count = Annotated[int, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Difference = Annotated[float, Field(ge=-1, le=1)]


class ArmOut(Answer):
    """How many of one arm were kept."""

    kept: Count
    of: Count = Field(description="Those whose days are over.")
    share: Share | None = Field(description="Null of nobody.")
    low: Share = Field(description="The share lies between this, in 19 cases out of 20,")
    high: Share = Field(description="and this.")
    too_young: Count = Field(description="Left out: their days are not over yet.")

    @classmethod
    def of_rows(cls, rows: Sequence[Counted]) -> Self:
        """Add up the rows of an arm."""
        total = _sum(rows)
        low, high = interval(total)
        return cls(
            kept=total.kept,
            of=total.of,
            share=total.share,
            low=round(low, 4),
            high=round(high, 4),
            too_young=sum(row.too_young for row in rows),
        )


class EffectOut(Answer):
    """The treated beside those who were left alone."""

    cause: Cause | None = Field(description="Null: all causes together.")
    cause_words: WordsOut | None
    treated: ArmOut
    held_out: ArmOut
    difference: Difference | None = Field(
        description="By how much more of the treated were kept; null where one arm has nobody."
    )
    low: Difference | None = Field(description="The difference lies between this, in 19 of 20,")
    high: Difference | None = Field(description="and this; a span across nought shows nothing.")

    @classmethod
    def of(cls, cause: Cause | None, rows: Sequence[Counted]) -> Self:
        """Compare the arms of some rows."""
        arms = {arm: [row for row in rows if row.arm is arm] for arm in Arm}
        found = effect(_sum(arms[Arm.TREATED]), _sum(arms[Arm.HELD_OUT]))
        return cls(
            cause=cause,
            cause_words=WordsOut.of(CAUSE_WORDS[cause]) if cause else None,
            treated=ArmOut.of_rows(arms[Arm.TREATED]),
            held_out=ArmOut.of_rows(arms[Arm.HELD_OUT]),
            difference=found.difference if found else None,
            low=found.low if found else None,
            high=found.high if found else None,
        )


def _sum(rows: Sequence[Counted]) -> Kept:
    return Kept(sum(row.kept.kept for row in rows), sum(row.kept.of for row in rows))


class EffectsOut(Answer):
    """Whether taking care keeps customers, for all causes and for each."""

    first_day: date
    until_day: date
    kept_days: Annotated[int, Field(ge=1)] = Field(
        description="Kept is who has not left within so many days."
    )
    all_causes: EffectOut
    causes: Annotated[list[EffectOut], Field(max_length=10)]

    @classmethod
    def of(cls, rows: Sequence[Counted], first_day: date, until_day: date, days: int) -> Self:
        """Write the counts of a period."""
        return cls(
            first_day=first_day,
            until_day=until_day,
            kept_days=days,
            all_causes=EffectOut.of(None, rows),
            causes=[
                EffectOut.of(cause, [row for row in rows if row.cause is cause])
                for cause in Cause
                if any(row.cause is cause for row in rows)
            ],
        )


class FigureOut(Answer):
    """A figure with what it was worked out from."""

    words: WordsOut
    unit: Unit
    value: float | None = Field(description="Numerator over denominator; null over nothing.")
    numerator: int
    denominator: Count
    excluded: Count = Field(description="Left out, since too little is known of them.")

    @classmethod
    def of(cls, figure: Figure) -> Self:
        """Write a figure."""
        return cls(
            words=WordsOut.of(figure.words),
            unit=figure.unit,
            value=figure.value,
            numerator=figure.numerator,
            denominator=figure.denominator,
            excluded=figure.excluded,
        )


class LeverOut(Answer):
    """A lever's gain beside the harm that it may do."""

    lever: ValueLever
    words: WordsOut
    gain: FigureOut
    harm: FigureOut
    beside: FigureOut | None = Field(description="What the harm is to be compared with.")

    @classmethod
    def of(cls, pair: Pair) -> Self:
        """Write a pair."""
        return cls(
            lever=pair.lever,
            words=WordsOut.of(LEVER_WORDS[pair.lever]),
            gain=FigureOut.of(pair.gain),
            harm=FigureOut.of(pair.harm),
            beside=FigureOut.of(pair.beside) if pair.beside else None,
        )


class LeversOut(Answer):
    """The eleven levers in pairs, for an org unit and the days from one until before another."""

    org_unit_id: UUID
    first_day: date
    until_day: date
    levers: Annotated[list[LeverOut], Field(max_length=20)]


class MarketFigureOut(FigureOut):
    """One figure of a month."""

    figure: MarketFigure

    @classmethod
    def named(cls, name: MarketFigure, figure: Figure) -> Self:
        """Write a figure with its name."""
        return cls(figure=name, **FigureOut.of(figure).model_dump())


class MarketOut(Answer):
    """What the customers of an org unit brought in a month."""

    org_unit_id: UUID
    month: date = Field(description="Its first day.")
    figures: Annotated[list[MarketFigureOut], Field(max_length=20)]

    @classmethod
    def of(cls, unit: UUID, month: date, figures: Mapping[MarketFigure, Figure]) -> Self:
        """Write the figures of a month."""
        return cls(
            org_unit_id=unit,
            month=month,
            figures=[MarketFigureOut.named(*one) for one in figures.items()],
        )
