"""Technicians come in by CSV: good files, bad lines, and the same file twice."""

import pytest
from sqlalchemy import func, select

from app.core.files import FileRefused
from app.technicians.loading import load_technicians
from app.technicians.models import Shift, Technician, TechnicianSkill
from tests.make.auth import make_org_unit

HEADINGS = "code,name,org_unit,phone,skills,shifts,home_lon,home_lat,home_coordsys\n"
WANG = "T001,王强,b01,15400000001,fibre:3;iptv,mon-fri 08:30-12:00 13:30-18:00,112.6,28.9,gcj02\n"
LI = "T002,李敏,b01,,copper:2,,,,\n"


@pytest.fixture(autouse=True)
async def branch(tx):
    return await make_org_unit(tx, code="b01")


def counts(report):
    return report.inserted, report.updated, report.unchanged, report.refused


async def load(tx, *lines, skip_refused=False):
    return await load_technicians(tx, lines, skip_refused=skip_refused)


async def one(tx, code):
    found = select(Technician).where(Technician.code == code)
    return await tx.scalar(found.execution_options(populate_existing=True))


async def skills(tx, code):
    rows = await tx.execute(
        select(TechnicianSkill.skill, TechnicianSkill.level)
        .join(Technician, Technician.id == TechnicianSkill.technician_id)
        .where(Technician.code == code)
    )
    return dict(rows.all())


async def shifts(tx):
    return await tx.scalar(select(func.count()).select_from(Shift))


async def test_a_file_is_loaded_whole(tx, branch):
    report = await load(tx, HEADINGS, WANG, LI)
    assert counts(report) == (2, 0, 0, 0)
    wang = await one(tx, "T001")
    assert (wang.name, wang.org_unit_id, wang.daily_minutes) == ("王强", branch.id, 480)
    assert await skills(tx, "T001") == {"fibre": 3, "iptv": 1}
    assert await shifts(tx) == 10
    # Given in GCJ-02, kept in WGS-84, some 300 to 700 metres away.
    lon = await tx.scalar(select(func.ST_X(Technician.home_point)).where(Technician.code == "T001"))
    assert 0.003 < 112.6 - lon < 0.008


async def test_the_same_file_again_changes_nothing(tx):
    await load(tx, HEADINGS, WANG, LI)
    before = (await one(tx, "T001")).version
    assert counts(await load(tx, HEADINGS, WANG, LI)) == (0, 0, 2, 0)
    assert (await one(tx, "T001")).version == before


@pytest.mark.parametrize(
    "changed",
    [
        WANG.replace("王强", "王大强"),
        WANG.replace("fibre:3", "fibre:4"),
        WANG.replace(";iptv", ""),
        WANG.replace("13:30-18:00", "13:30-17:00"),
        WANG.replace("mon-fri", "mon-sat"),
        WANG.replace("112.6", "112.7"),
    ],
)
async def test_what_differs_is_updated_and_counts_a_version(tx, changed):
    await load(tx, HEADINGS, WANG, LI)
    assert counts(await load(tx, HEADINGS, changed, LI)) == (0, 1, 1, 0)
    assert (await one(tx, "T001")).version == 2
    assert (await one(tx, "T002")).version == 1


async def test_columns_left_out_keep_what_is_there_and_emptied_cells_do_not(tx):
    await load(tx, HEADINGS, WANG)
    await load(tx, "code,name,org_unit\n", "T001,王强,b01\n")
    assert (await one(tx, "T001")).phone == "15400000001"
    assert await skills(tx, "T001") == {"fibre": 3, "iptv": 1}
    await load(tx, "code,name,org_unit,phone,skills\n", "T001,王强,b01,,\n")
    assert (await one(tx, "T001")).phone is None
    assert await skills(tx, "T001") == {}
    assert await shifts(tx) == 10


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (WANG, "code"),  # the second T001 of the file
        (LI.replace("b01", "b99"), "org_unit"),
        (LI.replace("copper:2", "copper:9"), "skills"),
        (LI.replace("T002", ""), "code"),
        ("T002,李敏,b01,,,,112.6,28.9,\n", "home_coordsys"),
        ("T002,李敏,b01,,,,112.6,28.9,gps\n", "home_coordsys"),
        ("T002,李敏,b01,,,,112.6,98.9,gcj02\n", "home_lat"),
    ],
)
async def test_one_bad_line_refuses_the_file_and_is_named(tx, line, field):
    with pytest.raises(FileRefused) as refused:
        await load(tx, HEADINGS, WANG, line)
    (fault,) = refused.value.facts["lines"]
    assert (fault["line"], fault["field"]) == (3, field)
    assert fault["zh"]
    assert fault["en"]
    assert await one(tx, "T001") is None


async def test_bad_lines_can_be_skipped(tx):
    report = await load(tx, HEADINGS, LI.replace("b01", "b99"), WANG, skip_refused=True)
    assert counts(report) == (1, 0, 0, 1)
    assert report.read == 2
    assert [bad.line for bad in report.bad] == [2]
