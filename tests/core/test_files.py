"""Files that operators hand in: what a cell, a CSV file and a YAML file may hold."""

from datetime import UTC, date, datetime
from enum import StrEnum

import pytest

from app.core import cells
from app.core.cells import NotReadable
from app.core.files import TOLD_AT_MOST, Column, CsvFile, Faults, FileRefused, entries_of, rows_of


class Fruit(StrEnum):
    APPLE = "apple"


@pytest.mark.parametrize(
    ("read", "cell", "value"),
    [
        (cells.text(3), "碧波园", "碧波园"),
        (cells.code, "T-001:a/b.c_d", "T-001:a/b.c_d"),
        (cells.whole(0, 10), "10", 10),
        (cells.number(-1, 1), "0.5", 0.5),
        (cells.day, "2026-03-02", date(2026, 3, 2)),
        (cells.day, "2026/3/2", date(2026, 3, 2)),  # as a spreadsheet writes it
        (
            cells.moment,
            "2026-03-02T08:00:00+08:00",
            datetime(2026, 3, 2, tzinfo=UTC),
        ),
        (cells.flag, "是", True),
        (cells.flag, "FALSE", False),
        (cells.one_of(Fruit), "apple", Fruit.APPLE),
    ],
)
def test_what_a_cell_holds(read, cell, value):
    assert read(cell) == value


@pytest.mark.parametrize(
    ("read", "cell"),
    [
        (cells.text(2), "碧波园"),
        (cells.text(), "a\x00b"),
        (cells.text(), "two\nlines"),
        (cells.code, "with blank"),
        (cells.whole(0, 10), "11"),
        (cells.whole(0, 10), "1.0"),
        (cells.number(-1, 1), "nan"),
        (cells.number(-1, 1), "x"),
        (cells.day, "2026-02-30"),
        (cells.day, "2.3.2026"),
        (cells.moment, "2026-03-02T08:00:00"),  # no zone
        (cells.moment, "yesterday"),
        (cells.flag, "maybe"),
        (cells.one_of(Fruit), "pear"),
    ],
)
def test_what_a_cell_may_not_hold(read, cell):
    with pytest.raises(NotReadable) as wrong:
        read(cell)
    assert wrong.value.words.zh
    assert wrong.value.words.en


def test_a_point_is_converted_from_the_system_it_declares():
    row = {"lon": 116.404, "lat": 39.915, "coordsys": "gcj02"}
    point = cells.point(row, "lon", "lat", "coordsys")
    assert point is not None
    lon, lat = point.removeprefix("SRID=4326;").split()
    assert float(lon.removeprefix("POINT(")) == pytest.approx(116.39775, abs=1e-4)
    assert float(lat.removesuffix(")")) == pytest.approx(39.9136, abs=1e-4)


def test_no_point_is_not_known_and_half_a_point_is_wrong():
    assert cells.point({}, "lon", "lat", "coordsys") is None
    with pytest.raises(NotReadable):
        cells.point({"lon": 116.4, "lat": 39.9, "coordsys": None}, "lon", "lat", "coordsys")


FILE = CsvFile(
    what="fruit",
    columns=(
        Column("code", cells.code, required=True),
        Column("weight_g", cells.whole(0, 1000)),
        Column("ripe", cells.flag, empty=False),
    ),
)


def read(text):
    """All good rows of a file, and its faults as (line, field, value)."""
    faults = Faults()
    _, rows = rows_of(FILE, text.splitlines(keepends=True), faults)
    good = list(rows)
    return good, [(bad.line, bad.field, bad.value) for bad in sorted(faults.bad)]


def test_good_lines_in_any_order_of_columns_and_with_a_byte_order_mark():
    good, bad = read("\ufeffripe,code\n是,a\n\n,b\n")
    assert good == [
        (2, {"code": "a", "weight_g": None, "ripe": True}),
        (4, {"code": "b", "weight_g": None, "ripe": False}),
    ]
    assert bad == []


def test_missing_is_not_zero():
    (line, row), *_ = read("code,weight_g\na,\n")[0]
    assert (line, row["weight_g"]) == (2, None)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("code,weight_g\na,heavy\nb,3\n", [(2, "weight_g", "heavy")]),
        ("code,weight_g\n,3\n", [(2, "code", None)]),
        ("code,weight_g\na,3,4\n", [(2, None, None)]),
        ("code,weight_g\na\n", [(2, None, None)]),
        ("code,weight_g\na b,x\n", [(2, "code", "a b"), (2, "weight_g", "x")]),
        # A line is named by where it begins, also when a quoted cell has a line break.
        ('code,weight_g\n"a\nb",3\nc,x\n', [(2, "code", "a\nb"), (4, "weight_g", "x")]),
        ('code,weight_g\na,3\n"b,4\n', [(3, None, None)]),
    ],
)
def test_bad_lines_are_named(text, faults):
    assert read(text)[1] == faults


@pytest.mark.parametrize(
    ("heading", "fault"),
    [
        ("code,wieght_g", "wieght_g"),  # misspelt, so it must not be taken for left out
        ("weight_g", "code"),
        ("code,code", "code"),
        ("", "code"),
    ],
)
def test_a_file_with_wrong_headings_is_refused_at_once(heading, fault):
    with pytest.raises(FileRefused) as refused:
        read(f"{heading}\na\n")
    assert refused.value.facts["lines"][0]["field"] == fault
    assert refused.value.facts["line"] == 1


def test_a_file_in_another_encoding_is_refused_with_words(tmp_path):
    path = tmp_path / "excel.csv"
    path.write_bytes("code,ripe\na,是\n".encode("gb18030"))
    faults = Faults()
    with path.open(encoding="utf-8") as lines, pytest.raises(FileRefused) as refused:
        list(rows_of(FILE, lines, faults)[1])
    assert "gb18030" in refused.value.detail("en")


def test_the_first_hundred_faults_are_told_and_all_are_counted():
    faults = Faults()
    text = "code\n" + "a b\n" * (TOLD_AT_MOST + 50)
    list(rows_of(FILE, text.splitlines(keepends=True), faults)[1])
    with pytest.raises(FileRefused) as refused:
        faults.refuse("fruit")
    assert refused.value.facts["refused"] == TOLD_AT_MOST + 50
    assert len(refused.value.facts["lines"]) == TOLD_AT_MOST


def test_yaml_entries_come_with_their_lines():
    rest, entries = entries_of(
        "x", "kind: a\nthings:\n- code: 1\n  inner: {b: 2}\n- code: 2\n", "things"
    )
    assert rest == {"kind": "a"}
    assert entries == [(3, {"code": 1, "inner": {"b": 2}}), (5, {"code": 2})]


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ("things: [", 1),
        ("things:\n- a: 1\n  a: 2\n", 2),  # the second would hide the first
        ("others: []\n", 1),
        ("- just\n- a list\n", 1),
        ("things:\n- plain\n", 1),
        ("things:\n- !!python/object/apply:os.getcwd []\n", 2),
        ("", 1),
    ],
)
def test_yaml_of_another_form_is_refused(document, line):
    with pytest.raises(FileRefused) as refused:
        entries_of("x", document, "things")
    assert refused.value.facts["line"] == line
