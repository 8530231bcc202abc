"""Files meant to fill the memory or to take for ever: refused in words, soon, in little memory."""

import io
import json
import os
import resource
import signal
import sqlite3
import struct
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.geo import CoordSys
from app.grids.layers import (
    Code,
    LayerRefused,
    LayerTooLarge,
    Limits,
    apart,
    gdal_process,
    read_layer,
)
from tests.grids.geojson import square
from tests.grids.packed import geopackage, packed, parts, shapefile

SQUARE = shapely.Polygon(square())
NAMED = {"name": ["甲网格"]}
FILES = parts([SQUARE], NAMED)
PLAIN = geopackage([SQUARE], NAMED, layer="grids")


def refusal(data: bytes, **more) -> LayerRefused:
    with pytest.raises(LayerRefused) as refused:
        read_layer(data, coordsys=CoordSys.WGS84, name_field="name", **more)
    assert refused.value.detail("zh") and refused.value.detail("en")
    return refused.value


def changed(*statements: str) -> bytes:
    """The plain GeoPackage after some statements of SQL."""
    with sqlite3.connect(":memory:") as known:
        known.deserialize(PLAIN)
        for (name,) in known.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            known.execute(f"DROP TRIGGER {name}")  # They call what only GDAL has.
        for statement in statements:
            known.execute(statement)
        known.commit()
        return known.serialize()


# --- zips -----------------------------------------------------------------------------------------


def test_an_entry_without_a_name_is_said_to_be_one():
    data = bytearray(packed(FILES))
    entry = data.index(b"PK\1\2")
    # Its name counts as what may follow a name, and says nothing.
    length = int.from_bytes(data[entry + 28 : entry + 30], "little")
    data[entry + 46 : entry + 46 + length] = bytes(length)
    data[entry + 28 : entry + 32] = data[entry + 30 : entry + 32] + data[entry + 28 : entry + 30]
    assert "without a name" in refusal(bytes(data)).detail("en")


def test_a_zip_that_unpacks_to_gigabytes_is_refused_by_its_directory():
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in FILES.items():
            if name != "grids.dbf":
                archive.writestr(name, data)
        with archive.open("grids.dbf", "w") as column:
            for _ in range(40):
                column.write(bytes(10_000_000))
    assert len(bomb.getvalue()) < 500_000
    refused = refusal(bomb.getvalue())
    assert isinstance(refused, LayerTooLarge)
    assert refused.finding.code is Code.UNPACKED_TOO_LARGE
    assert refused.finding.facts["found"] > 400_000_000


def lying(data: bytes, size: int) -> bytes:
    """A zip whose directory says that its .shp has so many bytes."""
    at = data.rfind(b"PK\1\2", 0, data.rfind(b"grids.shp"))
    return data[: at + 24] + struct.pack("<I", size) + data[at + 28 :]


def test_a_directory_that_lies_about_sizes_gains_nothing():
    data = packed(FILES)
    assert refusal(lying(data, 10)).finding.code in (Code.ZIP_BROKEN, Code.NOT_READABLE)
    assert refusal(lying(data, 2**31)).finding.code is Code.UNPACKED_TOO_LARGE


def test_a_zip_of_very_many_files_is_refused_by_their_number():
    many = packed({f"{number}.txt": b"" for number in range(1_001)} | FILES)
    assert refusal(many).finding.code is Code.TOO_MANY_ENTRIES
    # The number that the directory gives is not believed where it is smaller than the truth.
    at = many.rfind(b"PK\5\6")
    less = many[: at + 8] + struct.pack("<HH", 5, 5) + many[at + 12 :]
    assert refusal(less).finding.code in (Code.TOO_MANY_ENTRIES, Code.ZIP_BROKEN)


def test_nothing_is_written_where_a_zip_says(tmp_path):
    evil = {
        f"../../../../{tmp_path}/grids{Path(name).suffix}": data for name, data in FILES.items()
    }
    grids = read_layer(packed(evil), coordsys=CoordSys.WGS84, name_field="name")
    assert [grid.name for grid in grids.features] == ["甲网格"]
    assert list(tmp_path.iterdir()) == []


def test_a_locked_zip_is_refused():
    data = bytearray(packed(FILES))
    for mark, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = -1
        while (at := data.find(mark, at + 1)) >= 0:
            data[at + offset] |= 1
    assert refusal(bytes(data)).finding.code is Code.ZIP_BROKEN


# --- GeoPackages ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statements",
    [
        # A view that never ends.
        (
            "ALTER TABLE grids RENAME TO real",
            "CREATE VIEW grids AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
            " SELECT x AS fid, real.geom, real.name FROM n, real",
        ),
        # A column that computes a gigabyte for each row.
        ("ALTER TABLE grids ADD COLUMN big TEXT AS (hex(zeroblob(500000000)))",),
        (
            "ALTER TABLE grids RENAME TO real",
            "CREATE VIRTUAL TABLE grids USING rtree(fid, a, b, c, d)",
        ),
    ],
    ids=["view", "computed column", "virtual table"],
)
def test_a_layer_that_computes_is_not_read(statements):
    assert refusal(changed(*statements)).finding.code is Code.LAYER_COMPUTED


def test_views_and_triggers_beside_the_layer_do_no_harm():
    data = changed(
        "CREATE VIEW forever AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
        " SELECT x FROM n",
        "CREATE TRIGGER late AFTER INSERT ON grids BEGIN DELETE FROM grids; END",
    )
    assert len(read_layer(data, coordsys=CoordSys.WGS84, name_field="name").features) == 1


def test_a_geopackages_own_directory_may_not_be_a_view():
    data = changed(
        "ALTER TABLE gpkg_contents RENAME TO real",
        "CREATE VIEW gpkg_contents AS SELECT * FROM real",
    )
    assert refusal(data).finding.code is Code.NOT_READABLE


def test_a_name_of_megabytes_is_no_name():
    data = changed("UPDATE grids SET name = hex(zeroblob(3000000))")
    (line,) = read_layer(data, coordsys=CoordSys.WGS84, name_field="name").report
    assert [one.code for one in line.findings] == [Code.NAME_WRONG]


# --- the process apart ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body, code",
    [
        ("while True: pass", Code.TOO_COSTLY),
        ("held = [bytes(100_000_000) for _ in range(100)]", Code.TOO_COSTLY),
        (f"os.kill(os.getpid(), {signal.SIGSEGV})", Code.NOT_READABLE),
        ("raise RuntimeError", Code.NOT_READABLE),
    ],
    ids=["endless", "hungry", "crashed", "failed"],
)
def test_whatever_happens_to_the_process_is_told_in_words(tmp_path, monkeypatch, body, code):
    program = tmp_path / "gdal_process.py"
    source = Path(gdal_process.__file__).read_text()
    source = source.replace("    members = _members(data, asked)\n", f"    import os\n    {body}\n")
    program.write_text(source)
    monkeypatch.setattr(apart, "_PROGRAM", program)
    refused = refusal(shapefile([SQUARE], NAMED), limits=Limits(seconds=1, megabytes=600))
    assert refused.finding.code is code
    assert refused.status == (413 if code is Code.TOO_COSTLY else 422)


BOMBS = {
    "1,000,000 vertices": '{"type":"Polygon","coordinates":[[' + "[9,9]," * 1_000_000 + "[9,9]]]}",
    "100 MB": " " * 100_000_000,
    "deep": '{"a":' * 5_000_000,
    "deep coordinates": '{"type":"Polygon","coordinates":' + "[" * 8_000_000,
    "10,001 features": '{"type":"FeatureCollection","features":[' + "{}," * 10_000 + "{}]}",
}
# Reads each file named and prints the finding, the seconds and the megabytes at the highest.
READER = """
import json, resource, sys, time
from app.core.geo import CoordSys
from app.grids.layers import LayerRefused, read_layer
for name in sys.argv[1:]:
    data = open(name, "rb").read()
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        layer = read_layer(data, coordsys=CoordSys.WGS84, name_field="name")
        told = layer.counts()["imported"]
    except LayerRefused as refused:
        told = refused.finding.code.value
    spent = time.process_time() - began
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps([told, spent, (after - before) / 1024]), flush=True)
"""


def test_bombs_of_text_are_refused_soon_in_little_memory(tmp_path):
    names = []
    for number, text in enumerate(BOMBS.values()):
        path = tmp_path / f"{number}.json"
        path.write_text(text)
        names.append(str(path))
    limit = 1_500 * 1024 * 1024
    done = subprocess.run(
        [sys.executable, "-c", READER, *names],
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one[0] for one in told] == [
        "too-many-vertices",
        "too-many-bytes",
        "too-many-bytes",
        "too-deep",
        "too-many-features",
    ]
    for name, (_, seconds, megabytes) in zip(BOMBS, told, strict=True):
        assert seconds < 2, name
        assert megabytes < 100, name


# --- whatever comes -------------------------------------------------------------------------------

SHAPEFILE, GEOPACKAGE = packed(FILES), PLAIN


@st.composite
def damaged(draw, data):
    """A file cut short, or with some of its bytes replaced."""
    if draw(st.booleans()):
        return data[: draw(st.integers(4, len(data)))]
    made = bytearray(data)
    for _ in range(draw(st.integers(1, 20))):
        at = draw(st.integers(4, len(data) - 1))
        some = draw(st.binary(min_size=1, max_size=8))
        made[at : at + len(some)] = some
    return bytes(made)


@settings(max_examples=15, deadline=None)
@given(
    data=st.binary(max_size=200)
    | st.binary(max_size=200).map(lambda tail: b"PK\3\4" + tail)
    | damaged(SHAPEFILE)
    | damaged(GEOPACKAGE)
)
def test_no_bytes_break_the_reader(data):
    began = time.monotonic()
    try:
        grids = read_layer(data, coordsys=CoordSys.WGS84, name_field="name")
    except LayerRefused as refused:
        words = refused.detail("zh"), refused.detail("en")
    else:
        words = ("read", "read")
        assert all(grid.geometry.is_valid for grid in grids.features)
    assert all(words)
    assert time.monotonic() - began < 60


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=100).map(lambda tail: b"PK\3\4" + tail) | damaged(SHAPEFILE))
def test_no_zip_breaks_the_look_into_it(data):
    """In this process, since looking into a zip does not need GDAL."""
    with suppress(gdal_process.Refused):
        gdal_process._members(data, {"entries": 10})
