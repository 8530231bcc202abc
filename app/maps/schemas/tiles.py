"""TileJSON 3.0: what a map client needs to know of a layer of tiles."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from app.core.http import Answer, Line, Note


class VectorLayer(Answer):
    """The layer inside the tiles, and what its features say of themselves."""

    id: Line
    description: Note
    minzoom: int
    maxzoom: int
    fields: dict[str, Line] = Field(description="What each property of a feature means.")


class TileJson(Answer):
    """A layer of vector tiles in the shape of TileJSON 3.0: all that MapLibre or QGIS needs."""

    model_config = ConfigDict(
        json_schema_extra={
            "externalDocs": {"url": "https://github.com/mapbox/tilejson-spec/tree/master/3.0.0"}
        }
    )

    tilejson: Literal["3.0.0"]
    name: Line
    scheme: Literal["xyz"]
    tiles: Annotated[list[Note], Field(max_length=1)] = Field(
        description="The address of a tile, with {z}, {x} and {y} to fill in."
    )
    minzoom: int
    maxzoom: int
    bounds: Annotated[list[float], Field(max_length=4)] = Field(
        description="West, south, east, north of the caller's grids, in degrees of the map."
    )
    vector_layers: Annotated[list[VectorLayer], Field(max_length=1)]
