"""Wire shapes of who serves a grid, and of what a supervisor is warned of."""

from datetime import date
from typing import Any, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.core.i18n import Words
from app.core.paging import NextPage
from app.grids.rules import MembershipKind
from app.grids.rules.asking import Kind
from app.technicians.rules import AWAY_WORDS, Away
from app.territory.rules.cover import Asked, CoverDay
from app.territory.rules.vacancies import WARNING_WORDS, Warned, WarningKind


class WordsOut(Answer):
    """The same in Chinese and in English."""

    zh: str = Field(max_length=200)
    en: str = Field(max_length=200)


class AskedOut(Answer):
    """Somebody who is asked on a day, and whether they are there."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    kind: Kind = Field(description="How they belong to the grid.")
    rank: int | None = Field(ge=0, le=1000, description="Among those of the same kind.")
    distance_m: int | None = Field(
        ge=0, le=20_040_000, description="To their own grid, for a neighbour."
    )
    ratio: int = Field(ge=1, le=100, description="Percent of their day for this grid's orders.")
    minutes: int = Field(ge=0, le=1440, description="Of work on that day; of today what is left.")
    away: Away | None = Field(description="Why they are not at work; null when they are.")
    away_words: WordsOut | None


class CoverDayOut(Answer):
    """A local day of the grid's org unit: who is asked, the first asked first."""

    day: date
    served_by: UUID | None = Field(description="The first who is there; null when nobody is.")
    asked: list[AskedOut] = Field(max_length=200)

    @classmethod
    def of(cls, day: CoverDay, people: Any) -> Self:
        """Write a day out, with people by their ids."""
        served = day.served_by
        return cls(
            day=day.day,
            served_by=served.candidate.technician_id if served else None,
            asked=[_asked(one, people[one.candidate.technician_id]) for one in day.asked],
        )


class CoverOut(Answer):
    """Who serves a grid on some days."""

    grid_id: UUID
    days: list[CoverDayOut] = Field(max_length=31)


def _asked(one: Asked, person: Any) -> AskedOut:
    candidate = one.candidate
    near = candidate.kind is Kind.NEIGHBOUR
    return AskedOut(
        technician_id=candidate.technician_id,
        code=person.code,
        name=person.name,
        kind=candidate.kind,
        rank=None if near else candidate.rank,
        distance_m=round(candidate.distance_m) if near else None,
        ratio=candidate.ratio,
        minutes=int(one.minutes),
        away=one.away,
        away_words=_words(AWAY_WORDS[one.away]) if one.away else None,
    )


class WarningOut(Answer):
    """What is wrong with a grid for some days."""

    grid_id: UUID
    grid_code: str = Field(max_length=64)
    grid_name: str = Field(max_length=200)
    org_unit_id: UUID
    kind: WarningKind
    words: WordsOut
    valid_from: date = Field(description="The first local day of it.")
    valid_to: date | None = Field(description="The first day it is over; null: no end is known.")
    customers: int = Field(ge=0, le=2**31 - 1, description="With an address in the grid.")
    membership_id: UUID | None = Field(description="The membership whose end makes it so, if any.")
    membership_kind: MembershipKind | None
    technician_id: UUID | None = Field(description="Whose time ends.")
    technician_code: str | None = Field(max_length=64)
    technician_name: str | None = Field(max_length=200)

    @classmethod
    def of(cls, grid: Any, warned: Warned, customers: int, person: Any) -> Self:
        """Write a warning out, with its grid and the person whose time ends."""
        term = warned.term
        return cls(
            grid_id=grid.id,
            grid_code=grid.code,
            grid_name=grid.name,
            org_unit_id=grid.org_unit_id,
            kind=warned.kind,
            words=_words(WARNING_WORDS[warned.kind]),
            valid_from=warned.valid_from,
            valid_to=warned.valid_to,
            customers=customers,
            membership_id=term.id if term else None,
            membership_kind=term.kind if term else None,
            technician_id=person.technician_id if person else None,
            technician_code=person.code if person else None,
            technician_name=person.name if person else None,
        )


class WarningPage(Answer):
    """A page of warnings: those that touch the most customers first."""

    warnings: list[WarningOut] = Field(max_length=200)
    counts: dict[WarningKind, int] = Field(description="Of the whole list, by kind.")
    next_page_token: NextPage


def _words(words: Words) -> WordsOut:
    return WordsOut(zh=words.zh, en=words.en)
