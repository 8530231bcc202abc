"""What a supervisor draws on a map: the same checks, repairs and words as for an imported layer."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import orjson
import shapely
from shapely import LineString, MultiPolygon, Point

from app.core.errors import Invalid
from app.core.geo import CoordSys, to_wgs84
from app.core.i18n import Words
from app.grids.layers import Finding, LayerFeature, Limits, read_layer

# One boundary drawn by hand; the most detailed ones published have some 20,000 vertices.
LIMITS = Limits(features=1, vertices=50_000)


class BoundaryRefused(Invalid):
    slug = "boundary-refused"
    title: ClassVar[Words] = Words(zh="所画的边界不能使用", en="What was drawn cannot be taken")
    advice: ClassVar[Words] = Words(
        zh="请修改 {field} 后重新提交：{said_zh}", en="Mend {field} and send again: {said_en}"
    )


def boundary_of(
    drawn: Mapping[str, Any], coordsys: CoordSys, *, field: str
) -> tuple[MultiPolygon, list[dict[str, Any]]]:
    """Read a GeoJSON Polygon or MultiPolygon in `coordsys`: its shape in WGS-84 and notes on it.

    `field` says where in the request it stands. Raises BoundaryRefused, LayerTooLarge and
    LayerRefused as an import would.
    """
    feature = {"type": "Feature", "properties": {"name": "drawn"}, "geometry": drawn}
    layer = read_layer(orjson.dumps(feature), coordsys=coordsys, name_field="name", limits=LIMITS)
    findings = [_placed(finding, field) for finding in layer.report[0].findings]
    if not layer.features:
        raise BoundaryRefused(
            field=field,
            said_zh=findings[0]["zh"],
            said_en=findings[0]["en"],
            errors=[{"field": one["path"], "message": one["en"]} for one in findings],
            findings=findings,
        )
    known: LayerFeature = layer.features[0]
    return known.geometry, findings


def _placed(finding: Finding, field: str) -> dict[str, Any]:
    plain = finding.plain()
    path: str = plain["path"].removeprefix("/geometry")
    return {**plain, "path": f"/{field.replace('.', '/')}{path}"}


def line_of(positions: Sequence[Sequence[float]], coordsys: CoordSys) -> LineString:
    """Read the positions of a line in `coordsys`; it is straight where it was drawn straight."""
    line = LineString(positions)
    if coordsys is CoordSys.WGS84:
        return line
    points = shapely.get_coordinates(shapely.segmentize(line, 0.02))
    return LineString(list(zip(*to_wgs84(points[:, 0], points[:, 1], coordsys), strict=True)))


def point_of(position: Sequence[float], coordsys: CoordSys) -> Point:
    """Read a position in `coordsys`."""
    return Point(*to_wgs84(position[0], position[1], coordsys))
