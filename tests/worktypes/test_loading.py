"""Templates come in by YAML: a version is never rewritten, other content is the next one."""

from datetime import date

import pytest
from sqlalchemy import select

from app.core.files import FileRefused
from app.worktypes.loading import load_work_types
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import templates
from app.worktypes.rules import WorkType, template_for

FILE = """
org_path: yj.
work_types:
- code: t1
  work_type: care
  valid_from: 2026-01-01
  minutes: 40
  checklist:
  - {code: tidy, words: {zh: 整理, en: tidied}}
  measurements:
  - {measure: optical_rx_power_dbm, least: -27, most: -8}
  closing_codes:
  - {code: cared_for, words: {zh: 关怀, en: cared for}, waives: [tidy]}
"""


def counts(report):
    return report.inserted, report.updated, report.unchanged, report.refused


async def versions(tx):
    rows = await tx.scalars(select(WorkTemplate).order_by(WorkTemplate.version))
    return [(row.version, row.valid_from, row.content["minutes"]) for row in rows]


async def test_the_same_content_changes_nothing_and_other_content_is_the_next_version(tx):
    assert counts(await load_work_types(tx, FILE)) == (1, 0, 0, 0)
    assert counts(await load_work_types(tx, FILE)) == (0, 0, 1, 0)
    later = FILE.replace("2026-01-01", "2026-03-01")
    assert counts(await load_work_types(tx, later)) == (0, 0, 1, 0)
    other = later.replace("minutes: 40", "minutes: 50")
    assert counts(await load_work_types(tx, other)) == (1, 0, 0, 0)
    # Neither file finds anything to change: each day says what it said.
    assert counts(await load_work_types(tx, FILE)) == (0, 0, 1, 0)
    assert counts(await load_work_types(tx, other)) == (0, 0, 1, 0)
    # On the same day the later version is in force.
    assert counts(await load_work_types(tx, other.replace("50", "55"))) == (1, 0, 0, 0)
    assert await versions(tx) == [
        (1, date(2026, 1, 1), 40),
        (2, date(2026, 3, 1), 50),
        (3, date(2026, 3, 1), 55),
    ]
    known = (await templates(tx)).values()
    in_force = {
        day: template_for(known, WorkType.CARE, "yj.ch.", day)
        for day in (date(2025, 12, 31), date(2026, 2, 1), date(2026, 3, 1))
    }
    assert [one and one.version for one in in_force.values()] == [None, 1, 3]


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        ("optical_rx_power_dbm", "mood", "measurements.0.measure"),
        ("work_type: care", "work_type: dance", "work_type"),
        ("least: -27", "least: -7", "measurements.0.least"),
        ("[tidy]", "[tidy, neat]", "closing_codes.0.waives.1"),
        ("minutes: 40", "minutes: 0", "minutes"),
        ("minutes: 40", "hours: 40", "hours"),
        ("zh: 整理, en", "en", "checklist.0.words.zh"),
    ],
)
async def test_what_is_wrong_is_named_by_line_and_field(tx, was, becomes, field):
    with pytest.raises(FileRefused) as refused:
        await load_work_types(tx, FILE.replace(was, becomes))
    assert refused.value.facts["line"] == 4
    assert field in {fault["field"] for fault in refused.value.facts["lines"]}
    assert await versions(tx) == []
    report = await load_work_types(tx, FILE.replace(was, becomes), skip_refused=True)
    assert counts(report) == (0, 0, 0, 1)


async def test_a_code_stays_with_its_work_type_and_unit(tx):
    await load_work_types(tx, FILE)
    for other in (FILE.replace(": care", ": remove"), FILE.replace("yj.", "yj.ch.")):
        with pytest.raises(FileRefused) as refused:
            await load_work_types(tx, other)
        assert [fault["field"] for fault in refused.value.facts["lines"]] == ["code"]
    assert len(await versions(tx)) == 1


async def test_a_file_that_knows_more_fields_is_refused(tx):
    with pytest.raises(FileRefused):
        await load_work_types(tx, f"colour: red{FILE}")
