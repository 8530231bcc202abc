"""Wire shapes of addresses: where points lie, and which addresses a grid lists."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.geo import PointIn
from app.core.http import Answer, Input, Line

Address = Annotated[str | None, Field(min_length=1, max_length=500)]


class PlaceIn(PointIn):
    """A point, and the address there if it is known: a grid may have it in its list."""

    standard_address: Address = None
    locality: Address = Field(default=None, description="The compound, or the village.")
    building: Address = None


class LocateIn(Input):
    """Points to find the grids of."""

    points: Annotated[list[PlaceIn], Field(min_length=1, max_length=10_000)]


class PlaceOut(Answer):
    """Where a point lies; null where no grid of the caller's covers it."""

    grid_id: UUID | None
    grid_code: Line | None
    near_border: bool = Field(description="Whether a border is so near that the grid is in doubt.")
    listed: bool = Field(description="Whether a grid's list of addresses decided.")


class LocateOut(Answer):
    """Where the points lie, in the order they were sent."""

    places: Annotated[list[PlaceOut], Field(max_length=10_000)]
