"""From the bytes of a file to checked, repaired and named boundaries, with a report."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
import shapely
from shapely import MultiPolygon
from shapely.geometry.base import BaseGeometry

from app.core.geo import CoordSys
from app.grids.layers import shapes
from app.grids.layers.codes import Code
from app.grids.layers.files import read_file
from app.grids.layers.findings import Finding
from app.grids.layers.raw import NO_TEXT, Limits, RawFeature, clean
from app.grids.layers.systems import to_degrees

_LONGEST_NAME = 200
# What the API takes for a code anywhere (core.http.Code).
_LONGEST_CODE = 64
_SIGNS_OF_CODES = "_.-:/"
# Letters of any script, decimal digits, and numbers such as Ⅲ.
_CATEGORIES_OF_CODES = ("Lu", "Ll", "Lt", "Lm", "Lo", "Nd", "Nl")


class Verdict(StrEnum):
    """What became of one feature of the file."""

    IMPORTED = "imported"
    MERGED = "merged"
    REPAIRED = "repaired"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class LayerFeature:
    """One grid's worth of the file: a valid MultiPolygon in WGS-84 degrees and where it is from.

    `code` tells it from the others, prefix included; `rows` are the features it is made of; `notes`
    tell what was repaired, merged or dropped.
    """

    name: str
    code: str
    geometry: MultiPolygon
    area_m2: float
    rows: tuple[int, ...]
    notes: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class FeatureReport:
    """What became of the feature at `index` (from 0) and why; `findings` has reasons and notes.

    `code` is of the grid it would be, None where it has no name to make one of.
    """

    index: int
    id: str | int | float | None
    name: str | None
    code: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Layer:
    """A file read: the grids it gives, and a line of report for every feature it holds.

    `coded` is true when the file gave the codes, false when they were made from the names.
    `format`, `name`, `crs` and `encoding` tell how it was read, None where the format has no such
    thing; `sha256` is of the file's bytes, `notes` are for it as a whole.
    """

    features: tuple[LayerFeature, ...]
    report: tuple[FeatureReport, ...]
    coded: bool
    format: str
    name: str | None
    crs: str | None
    encoding: str | None
    sha256: str
    notes: tuple[Finding, ...]

    def boundaries(self) -> dict[str, MultiPolygon]:
        """The boundaries by code, as `coverage` takes them."""
        return {feature.code: feature.geometry for feature in self.features}

    def codes(self) -> set[str]:
        """The codes that any feature names, those that are refused among them."""
        return {line.code for line in self.report if line.code is not None}

    def counts(self) -> dict[Verdict, int]:
        """How many features met each verdict, every verdict named."""
        met = Counter(line.verdict for line in self.report)
        return {verdict: met[verdict] for verdict in Verdict}


@dataclass(slots=True)
class _Row:
    """A feature on its way through; `shape` is worth something while it is `taken`."""

    raw: RawFeature
    name: str | None
    code: str | None
    taken: bool = False
    shape: BaseGeometry = field(default_factory=MultiPolygon)
    area_m2: float = 0.0

    def refuse(self, code: Code, /, **facts: Any) -> None:
        self.raw.find(code, f"{self.raw.path}/geometry", **facts)
        self.taken = False


def read_layer(
    data: bytes,
    *,
    coordsys: CoordSys,
    name_field: str,
    code_field: str | None = None,
    prefix: str = "",
    layer: str | None = None,
    repair_limit: float | None = None,
    limits: Limits | None = None,
) -> Layer:
    """Read a file given in `coordsys`, naming each grid by a property of its feature.

    It may be GeoJSON, a zipped Shapefile or a GeoPackage; `layer` chooses among several. A grid's
    code is `prefix` and the value of the code field, or what `code_of` makes of its name when no
    code field is chosen; rows of one code and name become one grid. A feature that cannot be taken
    is refused in the report with every reason found, and the others go on; so is one whose repair
    would change its area by more than `repair_limit` percent, unless that is None. Raises
    LayerRefused or LayerTooLarge when the file as a whole cannot be read. It computes for up to
    some seconds, so callers inside an event loop hand it to a thread.
    """
    limits = limits or Limits()
    columns = [name_field] if code_field is None else [name_field, code_field]
    raw_layer = read_file(data, layer=layer, columns=columns, limits=limits)
    to_degrees(raw_layer, coordsys, limits)
    rows = [_row(raw, name_field, code_field, prefix) for raw in raw_layer.features]
    for row in rows:
        raw = row.raw
        if raw.findings or not shapes.believe(raw, coordsys, limits):
            continue
        row.taken, row.shape = True, shapes.polygonal(raw)
        if raw.altitudes:
            raw.find(Code.ALTITUDE_DROPPED, f"{raw.path}/geometry")
        if coordsys is not CoordSys.WGS84 and shapes.abroad(row.shape):
            raw.find(Code.OUTSIDE_CHINA, f"{raw.path}/geometry", coordsys=coordsys.value)
    _make_valid(_taken(rows), coordsys, repair_limit, limits)
    _measure(_taken(rows), limits)
    grids = _merge(_taken(rows))
    return Layer(
        features=tuple(grids),
        report=tuple(map(_report, rows)),
        coded=code_field is not None,
        format=raw_layer.format,
        name=raw_layer.name,
        crs=raw_layer.crs,
        encoding=raw_layer.encoding,
        sha256=hashlib.sha256(data).hexdigest(),
        notes=tuple(raw_layer.notes),
    )


def _in_codes(sign: str) -> bool:
    return sign in _SIGNS_OF_CODES or unicodedata.category(sign) in _CATEGORIES_OF_CODES


def code_of(name: str) -> str:
    """Make a code of a grid's name: what a code cannot hold becomes a hyphen, never two in a row.

    Codes stand in addresses and in file names, so they hold letters (Chinese ones too), digits and
    `_ . - : /` only: "碧波园（南区）" becomes "碧波园-南区". Of some names nothing is left.
    """
    words = "".join(sign if _in_codes(sign) and sign != "-" else " " for sign in name)
    return "-".join(words.split())


def _taken(rows: Iterable[_Row]) -> list[_Row]:
    return [row for row in rows if row.taken]


def _shapes(rows: Iterable[_Row]) -> shapes.Shapes:
    return shapes.shapes_of([row.shape for row in rows])


def _row(raw: RawFeature, name_field: str, code_field: str | None, prefix: str) -> _Row:
    name = _label(raw, name_field)
    own = _label(raw, code_field) if code_field is not None else name and code_of(name)
    if own is None:
        return _Row(raw, name, None)
    code = prefix + own
    if not own or len(code) > _LONGEST_CODE or not all(map(_in_codes, code)):
        here = f"{raw.path}/properties"
        raw.find(Code.CODE_WRONG, here, code=clean(code), longest=_LONGEST_CODE)
    return _Row(raw, name, code)


def _label(raw: RawFeature, field: str) -> str | None:
    """Read a name or code from a feature's properties: text or a number, tidied."""
    properties = raw.properties
    if properties is None:
        return None
    here, shown_field = f"{raw.path}/properties", clean(field)
    value = properties.get(field)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # Spreadsheets write 502 as 502.0.
    if isinstance(value, bool | list | dict):
        raw.find(Code.NAME_WRONG, here, field=shown_field, longest=_LONGEST_NAME)
        return None
    # Format characters (zero-width spaces from web pages) would make two names of one.
    text = "" if value is None else unicodedata.normalize("NFC", str(value)[: _LONGEST_NAME + 100])
    text = " ".join("".join(sign for sign in text if unicodedata.category(sign) != "Cf").split())
    if not text:
        names = ", ".join(clean(name) for name in list(properties)[:20]) or "—"
        raw.find(Code.UNNAMED, here, field=shown_field, fields=names)
        return None
    if len(text) > _LONGEST_NAME or any(unicodedata.category(sign) in NO_TEXT for sign in text):
        raw.find(Code.NAME_WRONG, here, field=shown_field, longest=_LONGEST_NAME)
        return None
    return text


def _make_valid(
    rows: list[_Row], coordsys: CoordSys, repair_limit: float | None, limits: Limits
) -> None:
    """Repair what is invalid and bring every shape to WGS-84.

    Repair comes first, in the coordinates as drawn: there, rings that touch do so exactly, and the
    place of the fault can be found in the file.
    """
    for row in rows:
        meetings = shapes.too_intricate(row.shape)
        if meetings is not None:
            row.refuse(Code.TANGLED, meetings=meetings)
    rows = _taken(rows)
    for row, valid in zip(rows, shapely.is_valid(_shapes(rows)).tolist(), strict=True):
        if not valid:
            _repair(row, repair_limit)
    rows = _taken(rows)
    kept = shapes.in_wgs84(_shapes(rows), coordsys, limits)
    # Bending the edges can make a near touch a touch; that needs no words, only mending.
    for at in np.flatnonzero(~shapely.is_valid(kept)).tolist():
        kept[at] = shapes.mend(kept[at])
    for row, shape, area in zip(rows, kept, shapes.area_m2(kept).tolist(), strict=True):
        row.shape, row.area_m2 = shape, area


def _repair(row: _Row, limit: float | None) -> None:
    crossings = shapes.past_repair(row.shape)
    if crossings is not None:
        row.refuse(Code.TANGLED, meetings=crossings)
        return
    why, lon, lat = shapes.why_invalid(row.shape)
    mended = shapes.mend(row.shape)
    before, after = shapes.area_m2(shapes.shapes_of([row.shape, mended])).tolist()
    row.shape = mended
    if after < shapes.LEAST_M2:  # Nothing is left, and it will be refused for that.
        return
    facts: dict[str, Any] = {
        "why_zh": why.zh,
        "why_en": why.en,
        "lon": lon,
        "lat": lat,
        "area_before_m2": round(before, 2),
        "area_after_m2": round(after, 2),
        "change": _change(before, after),
    }
    if limit is not None and abs(facts["change"]) * 100 > limit:
        row.refuse(Code.REPAIR_TOO_GREAT, **facts, limit_percent=limit)
    else:
        row.raw.find(Code.REPAIRED, f"{row.raw.path}/geometry", **facts)


def _change(before: float, after: float) -> float:
    """Relative change of area; a figure of eight may wind around nothing: then all is new."""
    return round((after - before) / before, 9) + 0.0 if before >= shapes.LEAST_M2 else 1.0


def _measure(rows: list[_Row], limits: Limits) -> None:
    """Refuse shapes without area, and those too large for a grid."""
    for row in rows:
        if row.area_m2 < shapes.LEAST_M2:
            row.refuse(Code.NO_AREA, least_m2=shapes.LEAST_M2)
        elif row.area_m2 > limits.area_km2 * 1e6:
            facts = {"area_km2": round(row.area_m2 / 1e6), "limit_km2": round(limits.area_km2)}
            row.refuse(Code.TOO_BIG, **facts)


def _merge(rows: list[_Row]) -> list[LayerFeature]:
    """Gather rows of one code into one grid each, in the order of the file."""
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        group = groups.setdefault(row.code or "", [])
        if group and group[0].name != row.name:
            first = group[0]
            row.refuse(Code.CODE_TWICE, code=row.code, index=first.raw.index, name=first.name)
        else:
            group.append(row)
    return [grid for group in groups.values() if (grid := _grid(group)) is not None]


def _grid(group: list[_Row]) -> LayerFeature | None:
    parts = _shapes(group)
    first, area = group[0], group[0].area_m2
    if len(group) > 1:
        meetings = shapes.past_joining(parts)
        if meetings is not None:
            for row in group:
                row.refuse(Code.TANGLED, meetings=meetings)
            return None
        indexes = [row.raw.index for row in group]
        for row in group:
            row.raw.find(Code.MERGED, row.raw.path, rows=indexes[:20], name=first.name)
    whole = shapes.multipolygon(shapely.union_all(parts) if len(parts) > 1 else parts[0])
    if len(group) > 1:
        area = float(shapes.area_m2(shapes.shapes_of([whole]))[0])
    notes: list[Finding] = []
    for row in group:
        notes.extend(note for note in row.raw.findings if note not in notes)
    return LayerFeature(
        name=first.name or "",
        code=first.code or "",
        geometry=whole,
        area_m2=area,
        rows=tuple(row.raw.index for row in group),
        notes=tuple(notes),
    )


def _report(row: _Row) -> FeatureReport:
    codes = {finding.code for finding in row.raw.findings}
    if not row.taken:
        verdict = Verdict.REFUSED
    elif Code.MERGED in codes:
        verdict = Verdict.MERGED
    elif Code.REPAIRED in codes:
        verdict = Verdict.REPAIRED
    else:
        verdict = Verdict.IMPORTED
    return FeatureReport(
        row.raw.index, row.raw.id, row.name, row.code, verdict, tuple(row.raw.findings)
    )
