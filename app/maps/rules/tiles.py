"""Tiles: the squares of web Mercator, and what each layer's hold."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.core.errors import NotFound
from app.core.geo import CoordSys
from app.core.i18n import Words
from app.core.parameters import Parameter

# A tile's own units a side, and how far outside it shapes are still drawn, so that their outlines
# do not end where two tiles meet. Clients draw a tile 512 pixels wide: 8 units a pixel.
EXTENT, BUFFER = 4096, 64
DEEPEST = 22

AT_RISK = Parameter(
    name="maps.at_risk_minutes",
    default=60,
    unit="min",
    words=Words(
        zh="距承诺时限还有多少分钟的未完成工单在地图上标为「将超时」",
        en="How long before its promise an order still open is marked at risk on maps",
    ),
    most=1440,
)
POSITION_CELL = Parameter(
    name="maps.position_cell_m",
    default=500,
    unit="m",
    words=Words(
        zh="地图上装维人员位置取整的格宽",
        en="The width of the cells to which technicians' positions are rounded on maps",
    ),
    least=100,
    most=5000,
)


class LayerName(StrEnum):
    """The layers there are tiles of."""

    GRIDS = "grids"
    ORDERS = "orders"
    TECHNICIANS = "technicians"


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer: the zooms it is drawn at, what its features say of themselves, and for how many
    seconds a client may show a tile again without asking."""

    name: LayerName
    least_zoom: int
    most_zoom: int
    fields: dict[str, str]
    max_age: int


LAYERS = {
    LayerName.GRIDS: Layer(
        LayerName.GRIDS,
        least_zoom=4,
        most_zoom=16,
        fields={
            "id": "The grid's id.",
            "code": "The grid's code.",
            "name": "The grid's name.",
            "kind": "compound, village, business_building or street.",
            "stage": "none, pilot, covered or contracted, today.",
            "primary_code": "The code of today's primary; absent when there is none.",
            "vacant": "Whether no primary looks after it today.",
        },
        max_age=0,
    ),
    LayerName.ORDERS: Layer(
        LayerName.ORDERS,
        least_zoom=8,
        most_zoom=16,
        fields={
            "id": "The order's id.",
            "state": "Where the order stands.",
            "work_type": "install, relocate, remove, repair or care.",
            "priority": "1 (first) to 4.",
            "overdue": "Whether its promise is broken and it is still open.",
            "at_risk": "Whether it is still open and its promise soon broken.",
        },
        max_age=15,
    ),
    LayerName.TECHNICIANS: Layer(
        LayerName.TECHNICIANS,
        least_zoom=8,
        most_zoom=16,
        fields={
            "id": "The technician's id.",
            "code": "The technician's code.",
            "source": "check_in: where they last checked in today; home: where their day begins.",
        },
        max_age=15,
    ),
}


class TileOutside(NotFound):
    slug = "tile-outside"
    title = Words(zh="瓦片超出范围", en="There is no such tile")
    advice = Words(
        zh="缩放级别为 0 至 {deepest}，x 与 y 为 0 至 2^z-1；请求的是 {z}/{x}/{y}。",
        en="Zooms go from 0 to {deepest}, x and y from 0 to 2^z-1; {z}/{x}/{y} was asked for.",
    )


class Tile(NamedTuple):
    """A square of the map, by zoom, column from the west and row from the north, on a map of a
    coordinate system."""

    z: int
    x: int
    y: int
    coordsys: CoordSys


def tile(z: int, x: int, y: int, coordsys: CoordSys) -> Tile:
    """Check that there is such a tile. Raises TileOutside."""
    if not (0 <= z <= DEEPEST and 0 <= x < 2**z and 0 <= y < 2**z):
        raise TileOutside(z=z, x=x, y=y, deepest=DEEPEST)
    return Tile(z, x, y, coordsys)
