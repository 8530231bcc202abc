"""TileJSON 3.0: what a map client needs to know of a layer of tiles."""

from typing import Literal

from pydantic import ConfigDict, Field

from app.core.http import Answer


class VectorLayer(Answer):
    """The layer inside the tiles, and what its features say of themselves."""

    id: str
    description: str
    minzoom: int
    maxzoom: int
    fields: dict[str, str] = Field(description="What each property of a feature means.")


class TileJson(Answer):
    """A layer of vector tiles in the shape of TileJSON 3.0: all that MapLibre or QGIS needs."""

    model_config = ConfigDict(
        json_schema_extra={
            "externalDocs": {"url": "https://github.com/mapbox/tilejson-spec/tree/master/3.0.0"}
        }
    )

    tilejson: Literal["3.0.0"]
    name: str
    scheme: Literal["xyz"]
    tiles: list[str] = Field(description="The address of a tile, with {z}, {x} and {y} to fill in.")
    minzoom: int
    maxzoom: int
    bounds: list[float] = Field(
        description="West, south, east, north of the caller's grids, in degrees of the map."
    )
    vector_layers: list[VectorLayer]
