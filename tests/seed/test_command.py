"""`yingwei load` as an operator runs it: words and an exit code."""

from pathlib import Path

import psycopg
import pytest

from app.cli.loading import Kind
from app.core.db import libpq_url
from seed.command import KINDS
from tests.make.commands import started_here, told_here

ROOT = Path(__file__).resolve().parents[2]
HEADINGS = "code,name,org_unit\n"


@pytest.fixture
def url(databases):
    with databases.clone() as url:
        with psycopg.connect(libpq_url(url), autocommit=True) as connection:
            connection.execute(
                "INSERT INTO org_unit (id, code, name_zh, name_en, level, path, time_zone)"
                " VALUES (gen_random_uuid(), 'b01', '支局', 'Branch', 'branch', 'b01.',"
                " 'Asia/Shanghai')"
            )
        yield url


def load(url, *words, by=told_here):
    return by("load", *words, env={"DATABASE_URL": url, "COLUMNS": "160"})


def technicians(url):
    with psycopg.connect(libpq_url(url)) as connection:
        rows = connection.execute("SELECT code, name FROM technician ORDER BY code").fetchall()
        loads = connection.execute("SELECT action FROM audit_entry").fetchall()
    return rows, [action for (action,) in loads]


def test_a_spreadsheets_file_with_a_bad_line(url, tmp_path):
    file = tmp_path / "technicians.csv"
    file.write_text(f"{HEADINGS}T1,王强,b01\nT2,李敏,b99\n", encoding="gb18030")

    other = load(url, "technicians", file, by=started_here)
    assert other.returncode == 1
    assert "gb18030" in other.stderr

    refused = load(url, "technicians", file, "--encoding", "gb18030")
    assert refused.returncode == 1
    assert "b99" in refused.stdout
    assert "查无此编码" in refused.stderr
    assert technicians(url) == ([], [])

    done = load(url, "technicians", file, "--encoding", "gb18030", "--skip-refused")
    assert done.returncode == 0, done.stderr
    assert "1 inserted, 0 updated, 0 unchanged, 1 refused" in done.stdout
    assert technicians(url) == ([("T1", "王强")], ["load technicians"])


def test_a_catalogue_and_an_encoding_that_does_not_exist(url):
    catalogue = ROOT / "seed" / "catalog.yaml"
    assert "23 inserted" in load(url, "catalogue", catalogue).stdout
    assert "23 unchanged" in load(url, "catalogue", catalogue).stdout
    refused = load(url, "catalogue", catalogue, "--encoding", "morse")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr


def test_whatever_can_be_loaded_has_its_word():
    assert {kind.value for kind in Kind} == set(KINDS)
