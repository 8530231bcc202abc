"""Doubts about a layer that only the map already there can raise: is it in the system declared?

Nothing in a file tells WGS-84 from GCJ-02 or BD-09. But grids do not lie upon each other's ground,
and a wrong system moves them all by hundreds of metres.
"""

import shapely

from app.core.geo import CoordSys
from app.grids.index import GridIndex
from app.grids.layers import Code, Finding, Layer, shapes

# Of a layer's features so many, evenly chosen, are tried in the other systems.
_TRIED = 300
# Real layers encroach upon each other by slivers; a wrong system moves a grid by hundreds of
# metres, and the right one then takes most of that back.
_ODD_SHARE = 0.005
_BETTER = 0.25
# In degrees; no system lies farther from another.
_FARTHEST_SHIFT = 0.02


def doubts(layer: Layer, coordsys: CoordSys, index: GridIndex, *, within: str) -> list[Finding]:
    """Say so where a layer fits the grids that are there far better in another system.

    `index` is the map in force, `within` the path of the part of the organisation whose grids may
    be compared with. Where none of them lie near, nothing can be known and nothing is said.
    """
    if not layer.features:
        return []
    some = layer.features[:: -(-len(layer.features) // _TRIED)]
    drawn = shapes.shapes_of([one.geometry for one in some])
    owners = [one.code for one in some]
    ours = [
        (one.area, index.territory(one.grid_id))
        for one in index.shapes.values()
        if index.territory(one.grid_id).org_path.startswith(within)
    ]
    near = shapely.box(*shapely.total_bounds(drawn)).buffer(_FARTHEST_SHIFT)
    known = [(area, grid.code) for area, grid in ours if area.intersects(near)]
    if not known:
        return []
    there, names = shapes.shapes_of([area for area, _ in known]), [code for _, code in known]
    share = {
        other: shapes.encroached_m2(shapes.read_as(drawn, coordsys, other), owners, there, names)
        for other in CoordSys
    }
    declared = share.pop(coordsys)
    better = min(share, key=lambda other: share[other])
    odd = declared > _ODD_SHARE * sum(one.area_m2 for one in some)
    if not odd or share[better] > _BETTER * declared:
        return []
    facts = {
        "coordsys": coordsys.value,
        "better": better.value,
        "as_declared_m2": round(declared),
        "as_better_m2": round(share[better]),
    }
    return [Finding(Code.FITS_BETTER, "", facts)]
