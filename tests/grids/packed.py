"""Layers as offices pack them: zipped Shapefiles and GeoPackages, made from shapes."""

import io
import json
import tempfile
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely

WGS84 = "EPSG:4326"


def shapes_in(data: bytes, field: str) -> tuple[list[Any], dict[str, list[Any]]]:
    """The shapes of a GeoJSON file and one column of its properties, in the order of the file."""
    rows = json.loads(data)["features"]
    shapes = [shapely.from_geojson(json.dumps(row["geometry"])) for row in rows]
    return shapes, {field: [row["properties"][field] for row in rows]}


def _write(
    path: Path,
    shapes: Iterable[Any],
    columns: Mapping[str, list[Any]],
    *,
    crs: str | None = WGS84,
    kind: str = "MultiPolygon",
    **options: Any,
) -> None:
    wkbs = [None if one is None else shapely.to_wkb(one) for one in shapes]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Of a CRS left out on purpose, and of names cut short.
        pyogrio.raw.write(
            path,
            geometry=np.array(wkbs, dtype=object),
            field_data=[_column(values) for values in columns.values()],
            fields=list(columns),
            geometry_type=kind,
            crs=crs,
            promote_to_multi=kind == "MultiPolygon",
            **options,
        )


def _column(values: list[Any]) -> Any:
    plain = all(isinstance(value, float) for value in values)
    return np.array(values, dtype=float if plain else object)


def geopackage(
    shapes: Iterable[Any], columns: Mapping[str, list[Any]], *, layer: str = "grids", **options: Any
) -> bytes:
    """A GeoPackage with one layer."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "layer.gpkg")
        _write(path, shapes, columns, layer=layer, **options)
        return path.read_bytes()


def parts(
    shapes: Iterable[Any], columns: Mapping[str, list[Any]], *, name: str = "grids", **options: Any
) -> dict[str, bytes]:
    """The files a Shapefile consists of, by name."""
    with tempfile.TemporaryDirectory() as folder:
        kind = options.pop("kind", "Polygon")
        _write(Path(folder, f"{name}.shp"), shapes, columns, kind=kind, **options)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def packed(files: Mapping[str, bytes]) -> bytes:
    """A zip of files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


def shapefile(shapes: Iterable[Any], columns: Mapping[str, list[Any]], **options: Any) -> bytes:
    """A zipped Shapefile."""
    return packed(parts(shapes, columns, **options))
