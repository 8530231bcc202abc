"""Wire shapes of the growth report."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Line, Note
from app.grids.rules import GridStage
from app.territory.rules.blocks import RankBy
from app.territory.rules.growth import CoveredBy, Exclusion


class ExclusionOut(Answer):
    """What a figure leaves out, in both languages; `count` null is not a matter of numbers."""

    what: Exclusion
    count: int | None
    zh: Note
    en: Note


class FigureOut(Answer):
    """A figure with all it is made of; `value` is the share, null of nothing."""

    numerator: int
    denominator: int
    value: float | None
    exclusions: Annotated[list[ExclusionOut], Field(max_length=len(Exclusion))]


class UnitGrowthOut(Answer):
    """An org unit with all under it."""

    code: Line
    name_zh: Line
    name_en: Line
    grids: int
    stages: dict[GridStage, int] = Field(description="Grids by stage.")
    grid_coverage: FigureOut = Field(
        description="Customers in grids with a primary, of all customers."
    )
    covered_share: FigureOut = Field(
        description="Customers in covered or contracted grids, of all customers."
    )
    in_grids: FigureOut = Field(description="Customers in any grid, of all customers.")
    blocks: int = Field(description="Contiguous blocks of covered grids, within the org unit.")
    largest_block: int = Field(description="Customers of the largest of them.")


class GridRefOut(Answer):
    """A grid by its names."""

    id: UUID
    code: Line
    name: Line


class BlockOut(Answer):
    """Covered grids that hang together over shared borders."""

    number: int
    customers: int
    grids: Annotated[list[GridRefOut], Field(max_length=100_000)]


class NextGridOut(Answer):
    """A grid that is not covered, beside at least one block, and what covering it would make."""

    id: UUID
    code: Line
    name: Line
    stage: GridStage
    has_primary: bool
    customers: int = Field(description="Its own, which are added.")
    joins: Annotated[list[int], Field(max_length=100_000)] = Field(
        description="The numbers of the blocks it borders: two are joined."
    )
    grids_after: int = Field(description="Grids of the block it would be in.")
    customers_after: int = Field(description="Customers of that block.")


class GrowthOut(Answer):
    """How far an org unit's territory has grown, and which grids are the next best.

    Customers are counted by their service addresses: those in a grid by the grid's org unit, those
    in none by their own.
    """

    on: date
    covered_by: CoveredBy
    rank_by: RankBy
    shared_border_m: float
    units: Annotated[list[UnitGrowthOut], Field(max_length=100_000)] = Field(
        description="The org unit asked for, then those right under it."
    )
    blocks: Annotated[list[BlockOut], Field(max_length=200)] = Field(
        description="The largest blocks, by customers."
    )
    next: Annotated[list[NextGridOut], Field(max_length=200)] = Field(
        description="The best grids to cover next."
    )
