"""Asks the process apart (`gdal_process.py`) and tells its answers as features and findings."""

import json
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from threading import BoundedSemaphore
from typing import Any, NamedTuple

import numpy as np
import structlog

from app.core.geo import Floats
from app.grids.layers.codes import Code
from app.grids.layers.findings import Finding, LayerRefused, LayerTooLarge
from app.grids.layers.raw import Limits, RawFeature, RawLayer, clean
from app.grids.layers.wkb import read_shape

log = structlog.get_logger()

_NAMES = {"shapefile": "Shapefile", "geopackage": "GeoPackage", "degrees": "CRS"}
_PROGRAM = Path(__file__).with_name("gdal_process.py")
# Whatever the offices of a province import at one moment, two such processes run in one of ours.
_TURNS = BoundedSemaphore(2)
# A busy machine gives a process little of its time; how much it may use is limited there.
_PATIENCE = 6
_TOO_LARGE = frozenset(
    {
        Code.TOO_MANY_ENTRIES,
        Code.UNPACKED_TOO_LARGE,
        Code.TOO_MANY_FEATURES,
        Code.TOO_MANY_VERTICES,
    }
)
# How the system ends a process that goes beyond its time or its memory.
_BEYOND = frozenset({-signal.SIGXCPU, -signal.SIGKILL, -signal.SIGABRT})
# Nothing of our environment is handed on, and GDAL asks no network.
_ENVIRONMENT = {
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "GDAL_NUM_THREADS": "1",
    "PROJ_NETWORK": "OFF",
    "LC_ALL": "C.UTF-8",
}


def read_apart(
    do: str, data: bytes, *, layer: str | None, columns: list[str], limits: Limits
) -> RawLayer:
    """Read a "shapefile" (zipped) or a "geopackage" in a process apart.

    `columns` are the attributes wanted; of the others the features know only the names. Raises
    LayerRefused and LayerTooLarge.
    """
    head, body = _ask(do, data, limits, layer=layer, columns=columns)
    features, at, vertices = [], 0, 0
    names = [head["fields"][place] for place in head["chosen"]]
    for index, (identity, size) in enumerate(zip(head["ids"], head["sizes"], strict=True)):
        feature = RawFeature(index, f"/features/{index}", id=identity)
        values = {name: column[index] for name, column in zip(names, head["columns"], strict=True)}
        feature.properties = dict.fromkeys(head["fields"]) | values
        for name, value in values.items():
            if isinstance(value, str) and "\0" in value:
                feature.find(Code.VALUE_WRONG, f"{feature.path}/properties/{clean(name)}")
        if size < 0:
            feature.find(Code.NO_GEOMETRY, f"{feature.path}/geometry")
        else:
            vertices += read_shape(feature, body[at : at + size])
            at += size
        if vertices > limits.vertices:
            raise LayerTooLarge(
                Finding(Code.TOO_MANY_VERTICES, feature.path, {"limit": limits.vertices})
            )
        features.append(feature)
    raw = RawLayer(_NAMES[do], features, head["crs"], head["layer"], head["encoding"])
    if head["guessed"]:
        raw.notes.append(Finding(Code.ENCODING_GUESSED, "", {"encoding": raw.encoding}))
    return raw


class Reached(NamedTuple):
    """Positions in degrees, none where they have no place, and the system they were in."""

    points: Floats
    name: str
    wkt: str


def degrees_apart(points: Floats, crs: str, limits: Limits) -> Reached:
    """Bring (n, 2) positions from a system, an EPSG code or WKT, to WGS-84 degrees.

    Raises LayerRefused for a system that GDAL does not know.
    """
    head, body = _ask("degrees", np.ascontiguousarray(points, "<f8").tobytes(), limits, crs=crs)
    return Reached(np.frombuffer(body, "<f8").reshape(-1, 2), head["name"], head["wkt"])


def _ask(do: str, data: bytes, limits: Limits, **asked: Any) -> tuple[dict[str, Any], bytes]:
    request = json.dumps({"do": do} | asdict(limits) | asked).encode()
    try:
        with _TURNS:
            done = subprocess.run(
                [sys.executable, "-I", str(_PROGRAM)],
                input=request + b"\n" + data,
                capture_output=True,
                env=_ENVIRONMENT,
                timeout=_PATIENCE * limits.seconds,
                check=False,
            )
    except subprocess.TimeoutExpired:
        raise _too_costly(limits) from None
    line, _, body = done.stdout.partition(b"\n")
    if done.returncode in _BEYOND:
        raise _too_costly(limits)
    if done.returncode or not line:
        log.error(
            "reading a layer failed",
            code=done.returncode,
            said=done.stderr[-2000:].decode("utf-8", "replace"),
        )
        facts = {"format": _NAMES.get(do, do), "what": f"code {done.returncode}"}
        raise LayerRefused(Finding(Code.NOT_READABLE, "", facts))
    head = json.loads(line)
    if "refused" not in head:
        return head, body
    code = next(code for code in Code if code.value == head["refused"])
    if code is Code.TOO_COSTLY:
        raise _too_costly(limits)
    facts = {
        name: clean(value, 400) if isinstance(value, str) else value
        for name, value in head["facts"].items()
    }
    raise (LayerTooLarge if code in _TOO_LARGE else LayerRefused)(Finding(code, "", facts))


def _too_costly(limits: Limits) -> LayerTooLarge:
    facts = {"seconds": limits.seconds, "megabytes": limits.megabytes}
    return LayerTooLarge(Finding(Code.TOO_COSTLY, "", facts))
