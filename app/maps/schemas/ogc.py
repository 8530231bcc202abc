"""Wire shapes of OGC API - Features, named as the standard names them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.grids.rules import GridKind, GridStage


class Link(Answer):
    """A way to something else."""

    href: str
    rel: str
    type: str
    title: str


class Landing(Answer):
    """Where a client begins."""

    title: str
    description: str
    links: list[Link]


class Conformance(Answer):
    """What of the standard is kept."""

    conformsTo: list[str]


class Spatial(Answer):
    """Where: west, south, east, north in CRS84."""

    bbox: list[list[float]]
    crs: str


class Temporal(Answer):
    """When: from one moment to another; null is open."""

    interval: list[list[datetime | None]]
    trs: str


class ExtentOut(Answer):
    """Where and when a collection is; `spatial` is null while it is empty."""

    spatial: Spatial | None
    temporal: Temporal | None


class CollectionOut(Answer):
    """A collection of features."""

    id: str
    title: str
    description: str
    itemType: Literal["feature"]
    crs: list[str]
    extent: ExtentOut
    links: list[Link]


class Collections(Answer):
    """All collections there are."""

    links: list[Link]
    collections: list[CollectionOut]


class Properties(Answer):
    """What a grid says of itself; the boundary shown is in force from `valid_from` to `valid_to`
    (null: still)."""

    code: str
    name: str
    kind: GridKind
    stage: GridStage
    org_unit_code: str
    area_m2: float
    valid_from: datetime
    valid_to: datetime | None


class FeatureOut(Answer):
    """A grid as a GeoJSON Feature, its boundary a MultiPolygon in CRS84."""

    type: Literal["Feature"]
    id: UUID
    geometry: dict[str, Any]
    properties: Properties
    links: list[Link]


class PlainFeature(Answer):
    """A grid in a list."""

    type: Literal["Feature"]
    id: UUID
    geometry: dict[str, Any]
    properties: Properties


class FeatureCollection(Answer):
    """A page of grids by code; a link `next` leads to the next page while there is one."""

    type: Literal["FeatureCollection"]
    timeStamp: datetime
    numberMatched: int
    numberReturned: int
    links: Annotated[list[Link], Field(description="self, next, collection.")]
    features: list[PlainFeature]
