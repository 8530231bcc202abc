"""Doorways of addresses: where points lie, and which addresses a grid lists."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from app.auth.callers import Caller
from app.core.db import Read
from app.core.doorways import Router
from app.core.geo import Floats, PointIn, to_wgs84
from app.core.http import Now, RawJson
from app.core.parameter_values import parameters_in_force
from app.grids import locating
from app.grids.address_schemas import LocateIn, LocateOut, PlaceIn
from app.grids.index import NOWHERE
from app.grids.locating import GridIndex
from app.grids.routes import Reader
from app.grids.rules import NEAR_BORDER, Where, district_of

router = Router(prefix="/v1", tags=["grids"])


@router.post("/grids/locate", response_model=LocateOut, operation_id="grids_locate")
async def locate(body: LocateIn, reader: Reader, read: Read, now: Now) -> RawJson:
    """Find the grids of up to 10,000 points, as an order at each would be placed.

    A point in a grid of others is answered like one in none. A list of addresses speaks for the
    caller's district, or above the districts for that of the grid drawn at the point.
    """
    parameters = await parameters_in_force(read)
    near_m = parameters.number(NEAR_BORDER, now, reader.org_path)
    index = await locating.for_reading(read)
    return RawJson(orjson.dumps({"places": _places(index, body.points, reader, near_m)}))


def _places(
    index: GridIndex, points: Sequence[PlaceIn], reader: Caller, near_m: float
) -> list[dict[str, Any]]:
    lons, lats = _in_wgs84(points)
    where = _where(points, district_of(reader.org_path)) if index.lists else None
    found = index.locate(lons, lats, near_m=near_m, where=where)
    # Thousands of points lie in some dozens of grids; each of these is shaped once.
    shown: dict[tuple[int, bool, bool], dict[str, Any]] = {}
    places = []
    for key in zip(
        found.grid.tolist(), found.near_border.tolist(), found.listed.tolist(), strict=True
    ):
        place = shown.get(key)
        if place is None:
            place = shown[key] = _shown(index, reader, *key)
        places.append(place)
    return places


def _shown(
    index: GridIndex, reader: Caller, place: int, near_border: bool, listed: bool
) -> dict[str, Any]:
    grid = None if place == NOWHERE else index.territories[place]
    if grid is None or not grid.within(reader.org_path):
        return {"grid_id": None, "grid_code": None, "near_border": False, "listed": False}
    return {
        "grid_id": grid.id,
        "grid_code": grid.code,
        "near_border": near_border,
        "listed": listed,
    }


def _where(points: Sequence[PlaceIn], district: str) -> list[Where]:
    return [
        Where(district, point.standard_address, point.locality, point.building) for point in points
    ]


def _in_wgs84(points: Sequence[PointIn]) -> tuple[Floats, Floats]:
    """Convert points; many of one system at once, which is some ten times quicker for them."""
    if len(points) < 10:
        some = np.array([point.wgs84() for point in points])
        return some[:, 0], some[:, 1]
    lons = np.array([point.lon for point in points])
    lats = np.array([point.lat for point in points])
    for coordsys in {point.coordsys for point in points}:
        of_it = np.array([point.coordsys is coordsys for point in points])
        lons[of_it], lats[of_it] = to_wgs84(lons[of_it], lats[of_it], coordsys)
    return lons, lats
