"""A layer as it stands in its file, whatever the format: features not yet judged as territory."""

import unicodedata
from dataclasses import dataclass, field
from typing import Any

from app.core.geo import CoordSys, Floats
from app.grids.layers.codes import Code
from app.grids.layers.findings import Finding


@dataclass(frozen=True, slots=True)
class Limits:
    """What a layer may be; the defaults hold a province's 5,000 grids with 60 vertices each."""

    bytes: int = 16 * 1024 * 1024
    # What the parts of a zipped layer may come to; attributes of fixed width are mostly blanks.
    unpacked_bytes: int = 128 * 1024 * 1024
    # How many times larger a part may be than it is packed, past the first megabyte.
    ratio: int = 200
    entries: int = 1_000
    features: int = 10_000
    vertices: int = 300_000
    depth: int = 24
    # Degrees of latitude between which grids may lie; outside, the axes are taken for swapped.
    latitudes: tuple[float, float] = (-60.0, 72.0)
    area_km2: float = 250_000.0
    # Files that need GDAL are read in a process of its own, which may take this much.
    seconds: int = 10
    megabytes: int = 1024


@dataclass(slots=True)
class RawFeature:
    """One feature as written: `polygons` are lists of rings, each (n, 2) as in the file.

    `path` is a JSON Pointer into the file, or into the GeoJSON that another format would be.
    """

    index: int
    path: str
    id: str | int | float | None = None
    # None when it is already said that there are none to read a name from.
    properties: dict[str, Any] | None = field(default_factory=dict)
    polygons: list[list[Floats]] = field(default_factory=list)
    altitudes: bool = False
    findings: list[Finding] = field(default_factory=list)

    def find(self, code: Code, path: str, /, **facts: Any) -> None:
        """Note a finding; ten of a feature are enough to mend it by."""
        if len(self.findings) < 10:
            self.findings.append(Finding(code, path, facts))


@dataclass(slots=True)
class RawLayer:
    """A file's layer: its features in order, and what the file says of itself.

    `crs` is the system its numbers are in, as EPSG code or WKT, None where it names none; `name`
    is the layer's, `encoding` that of its text, both None for GeoJSON. `coordsys` is what our own
    exports say of themselves. `notes` are for the whole.
    """

    format: str
    features: list[RawFeature]
    crs: str | None = None
    name: str | None = None
    encoding: str | None = None
    coordsys: CoordSys | None = None
    notes: list[Finding] = field(default_factory=list)


# Unicode's categories of control characters and of half characters (lone surrogates).
NO_TEXT = ("Cc", "Cs")


def clean(text: str, longest: int = 40) -> str:
    """Shorten text from a file and take out what cannot be stored or printed, to be shown."""
    text = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join("\ufffd" if unicodedata.category(sign) in NO_TEXT else sign for sign in text)
