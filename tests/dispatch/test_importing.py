"""Somebody else's CSV file as orders: the map's rules, and the command from file to verdicts."""

import asyncio
import csv
import gzip
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.auth.models import AuditEntry
from app.core.errors import Invalid, NotFound
from app.core.geo import CoordSys
from app.core.settings import Settings
from app.dispatch import command
from app.dispatch.importing import read_map
from app.dispatch.rules import NotTakenIn
from app.workorders.models import WorkOrder
from tests.make.dispatch import make_territory

LEAST = """
fields:
  external_id: {column: id}
  work_type: {constant: repair}
  address: {column: street}
"""


def mapped(row, *lines, coordsys=CoordSys.GCJ02, head=""):
    """Read one row by the least map and these further lines."""
    text = head + LEAST + "".join(f"  {line}\n" for line in lines)
    given = {"id": "7", "street": "Beacon St", **row}
    return read_map(text).order(given, source="311", coordsys=coordsys)


def test_the_least_a_map_can_say():
    assert mapped({}) == {
        "source": "311",
        "external_id": "7",
        "work_type": "repair",
        "address": "Beacon St",
    }


@pytest.mark.parametrize(
    ("line", "row", "field", "value"),
    [
        ("priority: {column: p, values: {high: 1, low: 4}}", {"p": "high"}, "priority", 1),
        ("priority: {column: p, values: {high: 1}, otherwise: 3}", {"p": "odd"}, "priority", 3),
        ("priority: {column: p, values: {high: 1}}", {"p": "2"}, "priority", 2),
        ("priority: {column: p, otherwise: 3}", {"p": " "}, "priority", 3),
        ("priority: {column: p}", {"p": ""}, "priority", None),
        ("priority: {column: p}", {"p": "odd"}, "priority", "odd"),  # intake refuses it by name
        ("summary: {template: '{a}: {b}'}", {"a": "Light", "b": "out"}, "summary", "Light: out"),
        ("summary: {template: '{a}: {b}'}", {"a": "Light", "b": ""}, "summary", "Light"),
        ("summary: {template: '{a}: {b}'}", {"a": "", "b": ""}, "summary", None),
        ("summary: {template: '{a}, {b}', otherwise: none}", {"a": "", "b": ""}, "summary", "none"),
        ("skills: {column: s, split: ';'}", {"s": "fibre; iptv;"}, "skills", ["fibre", "iptv"]),
        ("skills: {column: s}", {"s": "fibre"}, "skills", ["fibre"]),
        ("estimated_minutes: {column: m}", {"m": "30.0"}, "estimated_minutes", 30),
        ("service_number: {constant: 7318}", {}, "service_number", "7318"),
    ],
)
def test_how_a_field_is_read(line, row, field, value):
    assert mapped(row, line).get(field) == value


@pytest.mark.parametrize(
    ("form", "cell", "moment"),
    [
        ("format: '%m/%d/%Y %I:%M:%S %p'", "01/31/2015 01:02:03 PM", "2015-01-31T13:02:03-05:00"),
        ("format: '%m/%d/%Y %H:%M'", "07/31/2015 13:02", "2015-07-31T13:02:00-04:00"),
        ("otherwise:", "2015-01-31T13:02:03Z", "2015-01-31T13:02:03+00:00"),
        ("otherwise:", "2015-01-31 13:02", "2015-01-31T13:02:00-05:00"),
        ("otherwise:", "soon", "soon"),
    ],
)
def test_a_moment_without_a_zone_is_local(form, cell, moment):
    line = f"reported_at: {{column: t, {form}}}"
    head = "time_zone: America/New_York\n"
    assert mapped({"t": cell}, line, head=head)["reported_at"] == moment


def test_two_columns_are_a_point():
    lines = ("lon: {column: x}", "lat: {column: y}")
    assert mapped({"x": "112.5", "y": "28.0"}, *lines)["point"] == {
        "lon": 112.5,
        "lat": 28,
        "coordsys": "gcj02",
    }
    assert "point" not in mapped({"x": "", "y": ""}, *lines)
    # Half a point is no point, but it is not hushed up either.
    assert mapped({"x": "112.5", "y": ""}, *lines)["point"]["lat"] is None


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("fields: [", ""),
        ("time_zone: Mars/Base" + LEAST, "time_zone"),
        ("encoding: klingon" + LEAST, "encoding"),
        ("coordsys: utm" + LEAST, "coordsys"),
        ("colour: red" + LEAST, "colour"),
        (LEAST + "  colour: {column: c}", "fields.colour.[key]"),
        (LEAST + "  locality: {column: a, constant: b}", "fields.locality"),
        (LEAST + "  locality: {}", "fields.locality"),
        (LEAST + "  lon: {column: x}", ""),
        ("fields:\n  external_id: {column: id}", ""),
    ],
)
def test_a_wrong_map_is_refused_by_its_part(text, field):
    with pytest.raises(Invalid) as refused:
        read_map(text)
    assert [error["field"] for error in refused.value.facts["errors"]] == [field]


def test_a_map_that_does_not_fit_the_file_is_refused_by_the_columns():
    mapping = read_map(LEAST + "  summary: {template: '{a}: {street}'}")
    with pytest.raises(Invalid) as refused:
        mapping.check_columns(["id", "street"])
    assert refused.value.facts["errors"] == [
        {"field": "summary", "message": "the file has no column a"}
    ]


# --- the command ----------------------------------------------------------------------------------

FULL = (
    LEAST
    + """
  locality: {column: street}
  lon: {column: x}
  lat: {column: y}
  priority: {column: p}
"""
)


@pytest.fixture
async def land(real_database):
    async with real_database.begin() as tx:
        territory = await make_territory(tx)
        await territory.add_technician(territory.grids[0])
    return territory


@pytest.fixture
def write(tmp_path):
    """Write a map and a file of these rows; return what the command needs."""

    def files(rows, *, zipped=True) -> dict[str, Path]:
        text = "id,street,x,y,p\n" + "\n".join(rows) + "\n"
        file = tmp_path / ("orders.csv.gz" if zipped else "orders.csv")
        file.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
        (tmp_path / "map.yaml").write_text(FULL, encoding="utf-8")
        return {
            "file": file,
            "map_file": tmp_path / "map.yaml",
            "refused_file": tmp_path / "refused.csv",
        }

    return files


def run(database, files, **options):
    given = {
        "source": "311",
        "coordsys": CoordSys.WGS84,
        "org_unit_code": None,
        "url": None,
        "token": "",
        **files,
        **options,
    }
    address = database.engine.url.render_as_string(hide_password=False)
    return command.import_orders(Settings(database_url=address), given.pop("file"), **given)


async def in_thread(call, *args, **options):
    """Run the command as a process would, outside this event loop."""
    return await asyncio.to_thread(call, *args, **options)


async def test_rows_are_taken_in_and_counted(real_database, land, write, tmp_path):
    files = write(
        [
            "F-1,Beacon St,112.005,28.005,1",
            "F-2,Park St,110,28,",
            "F-3,,112.005,28.005,",
            "F-4,School St,112.005,28.005,urgent",
            '"F-1",Beacon St,112.005,28.005,1',
        ]
    )
    tally = await in_thread(run, real_database, files, org_unit_code=land.org_unit.code)
    assert tally.verdicts == {"placed": 1, "unplaced": 1, "refused": 2, "duplicate": 1}
    assert tally.reasons == {"no_grid": 1}
    with (tmp_path / "refused.csv").open(encoding="utf-8", newline="") as reading:
        refused = list(csv.DictReader(reading))
    assert [(row["line"], row["problem"], row["id"]) for row in refused] == [
        ("3", "invalid", "F-3"),
        ("4", "invalid", "F-4"),
    ]
    assert refused[0]["words"] == "address: Field required"
    assert refused[1]["words"].startswith("priority: ")
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(WorkOrder)) == 2
        assert await read.scalar(select(AuditEntry.action)) == "command_line_import_orders"


async def test_without_a_coordinate_system_nothing_is_guessed(real_database, write):
    with pytest.raises(Invalid) as refused:
        await in_thread(run, real_database, write([], zipped=False), coordsys=None)
    assert refused.value.facts["errors"][0]["field"] == "coordsys"


async def test_an_unknown_org_unit_is_refused(real_database, write):
    with pytest.raises(NotFound):
        await in_thread(run, real_database, write([], zipped=False), org_unit_code="nowhere")


async def test_over_http_the_rows_keep_their_numbers(real_database, write, monkeypatch):
    """Two requests of two rows each: the server numbers the lines of each from one."""
    sent = []

    class Answer:
        status_code = 200

        def __init__(self, body: bytes) -> None:
            lines = body.splitlines()
            sent.append(lines)
            self.content = b"\n".join(
                b'{"line": %d, "through": %d, "verdict": "refused", "reason": null, "problem":'
                b' {"type": "urn:yingwei:problem:malformed", "detail": "no", "facts": {}}}' % (n, n)
                for n in range(1, len(lines) + 1)
            )

    monkeypatch.setattr(command, "LINES_A_REQUEST", 2)
    monkeypatch.setattr(httpx.Client, "post", lambda _, path, content: Answer(content))
    files = write([f"F-{n},Beacon St,,," for n in range(1, 4)])
    tally = await in_thread(run, real_database, files, url="http://yingwei.test", token="x")
    assert [len(lines) for lines in sent] == [2, 1]
    assert list(tally.refused) == [1, 2, 3]


async def test_a_server_that_refuses_is_named_with_its_answer(real_database, write, monkeypatch):
    class Answer:
        status_code, text = 403, "Not allowed"

    monkeypatch.setattr(httpx.Client, "post", lambda *_, **__: Answer())
    with pytest.raises(NotTakenIn) as refused:
        await in_thread(
            run, real_database, write(["F-1,Beacon St,,,"]), url="http://yingwei.test", token="x"
        )
    assert refused.value.facts["answer"] == "403 Not allowed"
