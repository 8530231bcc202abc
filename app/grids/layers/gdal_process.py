"""A process of its own that reads what needs GDAL: zipped Shapefiles, GeoPackages, projections.

`apart.py` runs this file with the interpreter alone, so nothing of ours is imported here. A file
that makes GDAL crash, loop or fill its memory ends this process and nothing else. It takes one
line of JSON and then bytes, and gives the same. No file is written, none is opened by name.
"""

import codecs
import io
import json
import re
import sqlite3
import struct
import sys
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from pathlib import PurePosixPath
from typing import Any

Answer = tuple[dict[str, Any], bytes]

PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
# A name is refused past some 200 characters; what is longer need not be carried.
LONGEST_TEXT = 1_000


class Refused(Exception):
    """Why the file cannot be read: the value of a `Code`, and the facts its words need."""

    def __init__(self, code: str, **facts: Any) -> None:
        super().__init__(code)
        self.code, self.facts = code, facts


def bounded(seconds: int, megabytes: int) -> None:
    """Let the system end this process past so much processor time, and refuse it more memory."""
    import resource

    for what, limit in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes * 1024 * 1024),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        _, most = resource.getrlimit(what)
        try:
            resource.setrlimit(what, (limit, most))
        except (ValueError, OSError):  # Not every system has every limit; Linux has all.
            continue


# What a damaged zip makes Python's reader raise; RuntimeError is a password it does not have.
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    RuntimeError,
    ValueError,
    OSError,
    EOFError,
    IndexError,
)


# --- a zip of Shapefiles --------------------------------------------------------------------------


def shapefile(data: bytes, asked: dict[str, Any]) -> Answer:
    """Read one Shapefile of a zip; only its parts are unpacked, into memory."""
    members = _members(data, asked)
    layers: dict[str, dict[str, zipfile.ZipInfo]] = {}
    for path, info in members.items():
        if path.suffix.lower() in PARTS:
            layers.setdefault(str(path.with_suffix("")), {})[path.suffix.lower()] = info
    layers = {stem: parts for stem, parts in layers.items() if ".shp" in parts}
    if not layers:
        found = ", ".join(sorted(path.name for path in members)[:10]) or "-"
        raise Refused("zip-without-shapes", found=found)
    stems = _short({stem: PurePosixPath(stem).name for stem in layers})
    name = _chosen(list(stems), asked["layer"])
    parts = layers[stems[name]]
    missing = [part for part in (".shx", ".dbf") if part not in parts]
    if missing:
        raise Refused("part-missing", layer=name, missing=", ".join(missing))
    unpacked = sum(part.file_size for part in parts.values())
    for part in parts.values():
        dense = part.file_size > max(asked["ratio"] * part.compress_size, 1 << 20)
        if dense or unpacked > asked["unpacked_bytes"]:
            limit, ratio = asked["unpacked_bytes"], asked["ratio"]
            raise Refused("unpacked-too-large", found=unpacked, limit=limit, ratio=ratio)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        content = {suffix: _unpacked(archive, part) for suffix, part in parts.items()}
    if content[".shp"][:4] != b"\0\0\x27\x0a":
        raise Refused("not-readable", format="Shapefile", what=".shp")
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as stored:
        for suffix in (".shp", ".shx", ".dbf", ".prj"):
            if suffix in content:
                stored.writestr(f"layer{suffix}", content[suffix])
    encodings = _encodings(content.get(".cpg", b""))
    head, body = _read(plain.getvalue(), "Shapefile", "layer", asked, encodings)
    _decode(head, encodings)
    if head["crs"] is None and content.get(".prj", b"").strip():
        head["crs"] = content[".prj"][:200].decode("utf-8", "replace")
    return head | {"layer": name}, body


def _members(data: bytes, asked: dict[str, Any]) -> dict[PurePosixPath, zipfile.ZipInfo]:
    """List a zip's files by their names as people see them; its directory is counted first."""
    end = data.rfind(b"PK\5\6")
    if end < 0 or len(data) < end + 22:
        raise Refused("zip-broken", what="no directory")
    entries = struct.unpack_from("<H", data, end + 10)[0]
    # 65,535 is what a larger directory says, in the format for larger files.
    if entries > asked["entries"]:
        raise Refused("too-many-entries", found=entries, limit=asked["entries"])
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
    except _BROKEN as error:
        raise Refused("zip-broken", what=str(error)[:100]) from None
    if len(infos) > asked["entries"]:
        raise Refused("too-many-entries", found=len(infos), limit=asked["entries"])
    named: dict[PurePosixPath, zipfile.ZipInfo] = {}
    for info in infos:
        if not info.filename:
            raise Refused("zip-broken", what="an entry without a name")
        path = PurePosixPath(_entry_name(info).replace("\\", "/"))
        # What a Mac packs beside each file is named like it.
        if not info.is_dir() and path.name[:2] != "._" and "__MACOSX" not in path.parts:
            named.setdefault(path, info)
    return named


def _entry_name(info: zipfile.ZipInfo) -> str:
    if info.flag_bits & 0x800:
        return info.filename
    try:  # Without the flag Python reads cp437; Windows in China writes GBK.
        return info.filename.encode("cp437").decode("gb18030")
    except UnicodeError:
        return info.filename


def _short(names: dict[str, str]) -> dict[str, str]:
    """Map what people call a layer to its path: the name alone where no other has it."""
    told = list(names.values())
    return {name if told.count(name) == 1 else path: path for path, name in names.items()}


def _unpacked(archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> bytes:
    if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Refused("zip-broken", what=f"method {part.compress_type}")
    try:
        # No more is ever read than the directory says, and that has been weighed.
        with archive.open(part) as packed:
            return packed.read(part.file_size)
    except _BROKEN as error:
        raise Refused("zip-broken", what=str(error)[:100]) from None


def _encodings(cpg: bytes) -> list[tuple[str, bool]]:
    """Say in which encodings to try the text, and whether the file names it: what the .cpg says,
    then UTF-8, then GB18030, which is GBK and more."""
    said = re.sub(rb"(?i)^(ansi|oem|cp)[ -]?", b"", cpg.strip()).decode("ascii", "ignore").lower()
    known = {"65001": "utf-8", "936": "gb18030", "gbk": "gb18030", "gb2312": "gb18030"}.get(said)
    try:
        said = known or codecs.lookup(f"cp{said}" if said.isdigit() else said or "?").name
    except LookupError:
        said = ""
    others = [(name, False) for name in ("utf-8", "gb18030") if name != said]
    return [(said, True), *others] if said else others


def _decode(head: dict[str, Any], encodings: Sequence[tuple[str, bool]]) -> None:
    """Turn text read byte by byte into what it says, in the first encoding that can be."""
    for encoding, declared in encodings:
        try:
            fields = [_text(name, encoding) for name in head["fields"]]
            columns = [
                [_text(value, encoding) if isinstance(value, str) else value for value in column]
                for column in head["columns"]
            ]
        except UnicodeError:
            continue
        head |= {"fields": fields, "columns": columns}
        head |= {"encoding": encoding, "guessed": not declared}
        return
    raise Refused("encoding-unknown", tried=", ".join(encoding for encoding, _ in encodings))


def _text(bytes_as_text: str, encoding: str) -> str:
    # A field has so many bytes, and some programs cut the last letter in two.
    return codecs.getincrementaldecoder(encoding)().decode(bytes_as_text.encode("latin-1"))


# --- a GeoPackage ---------------------------------------------------------------------------------


def geopackage(data: bytes, asked: dict[str, Any]) -> Answer:
    """Read one layer of a GeoPackage: a plain table, since a view may compute without end."""
    with closing(sqlite3.connect(":memory:")) as known:
        try:
            known.deserialize(data)
            known.execute("PRAGMA trusted_schema = OFF")
            known.execute("PRAGMA query_only = ON")
            kinds = {
                name: (kind, sql or "")
                for name, kind, sql in known.execute("SELECT name, type, sql FROM sqlite_master")
            }
            if kinds.get("gpkg_contents", ("", ""))[0] != "table":
                raise Refused("not-readable", format="GeoPackage", what="no table gpkg_contents")
            rows = known.execute(
                "SELECT table_name FROM gpkg_contents WHERE data_type = 'features' LIMIT 1000"
            )
            name = _chosen([str(row[0]) for row in rows], asked["layer"])
            if name not in kinds:
                raise Refused("not-readable", format="GeoPackage", what=f"no table {name}")
            kind, sql = kinds[name]
            quoted = '"' + name.replace('"', '""') + '"'
            hidden = {row[6] for row in known.execute(f"PRAGMA table_xinfo({quoted})")}
        except sqlite3.Error as error:
            raise Refused("not-readable", format="GeoPackage", what=str(error)[:100]) from None
    if kind != "table" or hidden != {0} or re.match(r"\s*CREATE\s+VIRTUAL", sql, re.IGNORECASE):
        raise Refused("layer-computed", layer=name)
    head, body = _read(data, "GeoPackage", name, asked)
    return head | {"layer": name, "encoding": "utf-8", "guessed": False}, body


# --- both -----------------------------------------------------------------------------------------


def _chosen(layers: list[str], wanted: str | None) -> str:
    shown = ", ".join(layers[:50]) or "-"
    if wanted is not None and wanted not in layers:
        raise Refused("layer-unknown", layer=wanted, layers=shown)
    if wanted is None and len(layers) > 1:
        raise Refused("layer-unchosen", layers=shown)
    if not layers:
        raise Refused("layer-unknown", layer="-", layers=shown)
    return wanted or layers[0]


def _read(
    data: bytes,
    format: str,
    layer: str,
    asked: dict[str, Any],
    encodings: Sequence[tuple[str, bool]] = (),
) -> Answer:
    """Read a layer's geometries as WKB, and of its attributes the columns asked for.

    With `encodings` to be tried later, text is read byte by byte, each as one letter.
    """
    import pyogrio

    text = "ISO-8859-1" if encodings else None
    try:
        info = pyogrio.read_info(data, layer=layer, encoding=text)
        fields = [str(name) for name in info["fields"]]
        own = {name: name for name in fields}
        for encoding, _ in reversed(encodings):
            for name in fields:
                with suppress(UnicodeError):
                    own[_text(name, encoding)] = name
        columns = [own[name] for name in dict.fromkeys(asked["columns"]) if name in own]
        read, ids, shapes, values = pyogrio.raw.read(
            data,
            layer=layer,
            encoding=text,
            columns=columns,
            max_features=asked["features"] + 1,
            return_fids=True,
        )
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the file is what broke it
        what = re.sub(r"'?/vsi\S+", "", str(error))[:100]
        raise Refused("not-readable", format=format, what=what) from None
    if len(ids) > asked["features"]:
        found = max(len(ids), int(info["features"]))
        raise Refused("too-many-features", found=found, limit=asked["features"])
    if shapes is None:
        shapes = [None] * len(ids)
    # Two numbers of eight bytes a vertex, and a little around each ring.
    if sum(map(len, filter(None, shapes))) > 40 * asked["vertices"] + 1_000 * len(ids):
        raise Refused("too-many-vertices", limit=asked["vertices"])
    head = {
        "crs": info["crs"],
        "fields": fields,
        "columns": [[_value(value) for value in column.tolist()] for column in values],
        "chosen": [fields.index(column) for column in read["fields"]],
        "ids": [int(each) for each in ids],
        "sizes": [-1 if shape is None else len(shape) for shape in shapes],
    }
    return head, b"".join(filter(None, shapes))


def _value(value: Any) -> Any:
    if isinstance(value, float) and value != value:  # An empty number comes as NaN.
        return None
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return value[:LONGEST_TEXT]
    # Dates and the like are text; bytes name nothing.
    return [] if isinstance(value, bytes | list) else str(value)[:LONGEST_TEXT]


# --- projections ----------------------------------------------------------------------------------


def degrees(data: bytes, asked: dict[str, Any]) -> Answer:
    """Bring positions in a system, pairs of numbers east first, to degrees; say what it is."""
    import numpy as np
    import pyogrio
    import shapely

    # Any other text might be taken for the name of a file or an address.
    if not re.fullmatch(r"[A-Z]+:\d+|[A-Z_]+\[.*", asked["crs"].strip(), re.DOTALL):
        raise Refused("crs-unknown", crs=asked["crs"][:80])
    # One MultiPoint is written into a GeoPackage in memory, which GDAL transforms as it reads.
    points = np.frombuffer(data, dtype="<f8").reshape(-1, 2)
    shape = shapely.to_wkb(np.array([shapely.multipoints(points)], dtype=object))
    written = io.BytesIO()
    try:
        pyogrio.raw.write(
            written,
            geometry=shape,
            field_data=[],
            fields=[],
            geometry_type="MultiPoint",
            crs=asked["crs"],
            driver="GPKG",
            layer="points",
        )
        packed = written.getvalue()
        _, _, _, (names, definitions) = pyogrio.raw.read(
            packed,
            sql="SELECT srs_name, definition FROM gpkg_spatial_ref_sys"
            " JOIN gpkg_contents USING (srs_id)",
            read_geometry=False,
        )
    except MemoryError:
        raise
    except Exception as error:
        raise Refused("crs-unknown", crs=asked["crs"][:80]) from error
    head = {"name": str(names[0]), "wkt": str(definitions[0])}
    try:
        _, _, moved, _ = pyogrio.raw.read(
            packed, sql="SELECT ST_Transform(geom, 4326) AS geom FROM points"
        )
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001 - GDAL's, of many kinds: the projection does not reach so far
        return head, b""
    if moved is None or moved[0] is None:
        return head, b""
    reached = shapely.get_coordinates(shapely.from_wkb(moved[0]))
    return head, np.ascontiguousarray(reached, dtype="<f8").tobytes()


DONE: dict[str, Callable[[bytes, dict[str, Any]], Answer]] = {
    "shapefile": shapefile,
    "geopackage": geopackage,
    "degrees": degrees,
}


def main() -> None:
    """Answer the one request on standard input."""
    asked = json.loads(sys.stdin.buffer.readline())
    bounded(asked["seconds"], asked["megabytes"])
    warnings.simplefilter("ignore")  # GDAL's, of odd file names; errors are answered in words.
    try:
        head, body = DONE[asked["do"]](sys.stdin.buffer.read(), asked)
    except Refused as refused:
        head, body = {"refused": refused.code, "facts": refused.facts}, b""
    except MemoryError:
        head, body = {"refused": "too-costly", "facts": {}}, b""
    out: Iterable[bytes] = (json.dumps(head).encode(), b"\n", body)
    sys.stdout.buffer.writelines(out)


if __name__ == "__main__":
    main()
