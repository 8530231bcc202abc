"""Doorways of tiles: a layer each, since who may see a layer is said in its signature."""

import gzip
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Query, Request, Response, status
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.geo import CoordSys, from_wgs84
from app.core.http import ETAG, MOST_BYTES, Now
from app.core.unchanged import known
from app.maps import service
from app.maps.queries import features
from app.maps.rules.tiles import DEEPEST, LAYERS, Layer, LayerName, Tile, tile
from app.maps.schemas.tiles import TileJson, VectorLayer
from app.maps.service import Packed

router = Router(prefix="/v1/tiles", tags=["maps"])

Supervisors = (Role.SUPERVISOR, Role.ADMIN)
GridReader = Annotated[Caller, Depends(caller(*Supervisors, scope="grids:read"))]
OrderReader = Annotated[Caller, Depends(caller(*Supervisors, scope="orders:read"))]
TechnicianReader = Annotated[Caller, Depends(caller(*Supervisors, scope="technicians:read"))]

MapSystem = Annotated[
    CoordSys,
    Query(
        description="The system of the map under the tiles: wgs84 for QGIS and OpenStreetMap, "
        "gcj02 or bd09 for Chinese maps. In another one everything lies some 500 m off."
    ),
]
IfNoneMatch = Annotated[str | None, Header(max_length=400)]


def _number(most: int) -> Any:
    # No bounds to FastAPI: what lies outside them is not found, rather than not valid.
    return Path(json_schema_extra={"minimum": 0, "maximum": most})


async def _asked(
    z: Annotated[int, _number(DEEPEST)],
    x: Annotated[int, _number(2**DEEPEST - 1)],
    y: Annotated[int, _number(2**DEEPEST - 1)],
    coordsys: MapSystem = CoordSys.WGS84,
) -> Tile:
    return tile(z, x, y, coordsys)


Asked = Annotated[Tile, Depends(_asked)]

KIND = "application/vnd.mapbox-vector-tile"
# Shapes are simplified for each zoom and points are counted, so no tile comes near to this.
_BYTES = {"type": "string", "format": "binary", "maxLength": MOST_BYTES}
_TILE: dict[str, Any] = {
    "response_class": Response,
    "responses": {
        200: {
            "description": "A Mapbox vector tile (version 2), packed with gzip if the client can.",
            "content": {KIND: {"schema": _BYTES}},
            "headers": {"ETag": ETAG},
        },
        204: {"description": "Nothing is there."},
        304: {"description": "The tile is the one of If-None-Match."},
    },
}


@router.get("/grids/{z}/{x}/{y}.mvt", operation_id="tiles_grids", **_TILE)
async def grids(
    asked: Asked,
    reader: GridReader,
    read: Read,
    now: Now,
    request: Request,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Draw the caller's grids in a square of the map, as they are now."""
    tag = await service.grids_tag(read, reader, asked, now=now)
    answer = _Answer(LAYERS[LayerName.GRIDS], tag, request)
    if answer.known(if_none_match):
        return answer.not_modified()
    return answer.of(await service.grids_tile(read, reader, asked, tag, now=now))


@router.get("/orders/{z}/{x}/{y}.mvt", operation_id="tiles_orders", **_TILE)
async def orders(
    asked: Asked,
    reader: OrderReader,
    read: Read,
    now: Now,
    request: Request,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Draw the caller's open orders, and those done today, from zoom 8 on."""
    packed = await service.orders_tile(read, reader, asked, now=now)
    answer = _Answer(LAYERS[LayerName.ORDERS], packed.tag, request)
    return answer.not_modified() if answer.known(if_none_match) else answer.of(packed)


@router.get("/technicians/{z}/{x}/{y}.mvt", operation_id="tiles_technicians", **_TILE)
async def technicians(
    asked: Asked,
    reader: TechnicianReader,
    read: Read,
    now: Now,
    request: Request,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Draw the caller's technicians on shift, coarsely, from zoom 8 on."""
    packed = await service.technicians_tile(read, reader, asked, now=now)
    answer = _Answer(LAYERS[LayerName.TECHNICIANS], packed.tag, request)
    return answer.not_modified() if answer.known(if_none_match) else answer.of(packed)


class _Answer:
    """How a tile leaves: under which tag, packed or not, to be kept for how long."""

    def __init__(self, layer: Layer, tag: str, request: Request) -> None:
        self._packed = "gzip" in request.headers.get("accept-encoding", "")
        kept = f"private, max-age={layer.max_age}" if layer.max_age else "private, no-cache"
        self._headers = {
            "etag": f'"{tag}"',
            "cache-control": kept,
            "vary": "Accept-Encoding, Authorization",
        }

    def known(self, if_none_match: str | None) -> bool:
        """Whether the client has this tile already."""
        return known(if_none_match, self._headers["etag"])

    def not_modified(self) -> Response:
        """Say that what the client has is still right."""
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=self._headers)

    def of(self, packed: Packed) -> Response:
        """Send the tile; an empty one as 204, which MapLibre takes for an empty tile, as QGIS does
        (an empty 200 is an error to older clients)."""
        if not packed.body:
            return Response(status_code=status.HTTP_204_NO_CONTENT, headers=self._headers)
        if self._packed:
            headers = {**self._headers, "content-encoding": "gzip"}
            return Response(packed.body, media_type=KIND, headers=headers)
        return Response(gzip.decompress(packed.body), media_type=KIND, headers=self._headers)


# --- what a layer is ------------------------------------------------------------------------------


@router.get("/grids.json", operation_id="tiles_grids_json")
async def grids_json(
    request: Request, reader: GridReader, read: Read, coordsys: MapSystem = CoordSys.WGS84
) -> TileJson:
    """Describe the layer of grids as TileJSON: the one address MapLibre needs."""
    return await _described(request, read, reader, LayerName.GRIDS, coordsys)


@router.get("/orders.json", operation_id="tiles_orders_json")
async def orders_json(
    request: Request, reader: OrderReader, read: Read, coordsys: MapSystem = CoordSys.WGS84
) -> TileJson:
    """Describe the layer of orders as TileJSON."""
    return await _described(request, read, reader, LayerName.ORDERS, coordsys)


@router.get("/technicians.json", operation_id="tiles_technicians_json")
async def technicians_json(
    request: Request, reader: TechnicianReader, read: Read, coordsys: MapSystem = CoordSys.WGS84
) -> TileJson:
    """Describe the layer of technicians as TileJSON."""
    return await _described(request, read, reader, LayerName.TECHNICIANS, coordsys)


_DESCRIPTIONS = {
    LayerName.GRIDS: "Grids with their boundaries in force.",
    LayerName.ORDERS: "Open orders, and those done today.",
    LayerName.TECHNICIANS: "Technicians on shift, where they last checked in or begin their day.",
}


async def _described(
    request: Request, read: AsyncSession, reader: Caller, name: LayerName, coordsys: CoordSys
) -> TileJson:
    layer = LAYERS[name]
    address = f"{request.base_url}v1/tiles/{name}/{{z}}/{{x}}/{{y}}.mvt?coordsys={coordsys}"
    return TileJson(
        tilejson="3.0.0",
        name=name.value,
        scheme="xyz",
        tiles=[address],
        minzoom=layer.least_zoom,
        maxzoom=layer.most_zoom,
        bounds=await _bounds(read, reader, name, coordsys),
        vector_layers=[
            VectorLayer(
                id=name.value,
                description=_DESCRIPTIONS[name],
                minzoom=layer.least_zoom,
                maxzoom=layer.most_zoom,
                fields=layer.fields,
            )
        ],
    )


# Where web Mercator ends.
_WORLD = [-180.0, -85.0511, 180.0, 85.0511]


async def _bounds(
    read: AsyncSession, reader: Caller, name: LayerName, coordsys: CoordSys
) -> list[float]:
    """The box a client asks for tiles in: of grids, the box around them; orders and people may be
    anywhere."""
    box = (await features.extent(read, reader)).box if name is LayerName.GRIDS else None
    if box is None:
        return _WORLD
    (west, east), (south, north) = from_wgs84(
        [box.west, box.east], [box.south, box.north], coordsys
    )
    # The shift of the corners is not that of the borders between; it differs by some 100 m.
    return [
        round(float(west) - 0.002, 6),
        round(float(south) - 0.002, 6),
        round(float(east) + 0.002, 6),
        round(float(north) + 0.002, 6),
    ]
