"""Wire shapes of OGC API - Features, named as the standard names them."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, WithJsonSchema

from app.core.http import Answer, Line, Note
from app.grids.rules import GridKind, GridStage
from app.maps.rules.ogc import MOST_LIMIT


class Link(Answer):
    """A way to something else."""

    href: Note
    rel: Line
    type: Line
    title: Line


class Landing(Answer):
    """Where a client begins."""

    title: Line
    description: Note
    links: Annotated[list[Link], Field(max_length=20)]


class Conformance(Answer):
    """What of the standard is kept."""

    conformsTo: Annotated[list[Line], Field(max_length=20)]


class Spatial(Answer):
    """Where: west, south, east, north in CRS84."""

    bbox: Annotated[
        list[Annotated[list[float], Field(min_length=4, max_length=4)]], Field(max_length=1)
    ]
    crs: Line


# Described as text, since generators lose what a list of lists of moments is written with.
Open = Annotated[
    datetime | None,
    WithJsonSchema({"anyOf": [{"type": "string", "maxLength": 35}, {"type": "null"}]}),
]


class Temporal(Answer):
    """When: from one moment to another; null is open."""

    interval: Annotated[
        list[Annotated[list[Open], Field(min_length=2, max_length=2)]], Field(max_length=1)
    ]
    trs: Line


class ExtentOut(Answer):
    """Where and when a collection is; `spatial` is null while it is empty."""

    spatial: Spatial | None
    temporal: Temporal | None


class CollectionOut(Answer):
    """A collection of features."""

    id: Line
    title: Line
    description: Note
    itemType: Literal["feature"]
    crs: Annotated[list[Line], Field(max_length=20)]
    extent: ExtentOut
    links: Annotated[list[Link], Field(max_length=20)]


class Collections(Answer):
    """All collections there are."""

    links: Annotated[list[Link], Field(max_length=20)]
    collections: Annotated[list[CollectionOut], Field(max_length=20)]


class Properties(Answer):
    """What a grid says of itself; the boundary shown is in force from `valid_from` to `valid_to`
    (null: still)."""

    code: Line
    name: Line
    kind: GridKind
    stage: GridStage
    org_unit_code: Line
    area_m2: float
    valid_from: datetime
    valid_to: datetime | None


class FeatureOut(Answer):
    """A grid as a GeoJSON Feature, its boundary a MultiPolygon in CRS84."""

    type: Literal["Feature"]
    id: UUID
    geometry: dict[str, Any]
    properties: Properties
    links: Annotated[list[Link], Field(max_length=20)]


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
    links: Annotated[list[Link], Field(max_length=20, description="self, next, collection.")]
    features: Annotated[list[PlainFeature], Field(max_length=MOST_LIMIT)]
