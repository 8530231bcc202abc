"""Promise rules and parameters come in by YAML, and what was promised is not rewritten."""

from datetime import date, time

import pytest
from sqlalchemy import select

from app.core.files import FileRefused
from app.core.parameter_values import ParameterValue
from app.grids.models import GridExpansion
from app.promises.models import PromiseRule
from app.suggestions.models import SuggestionGate
from seed.city import HERE
from seed.dated import (
    load_campaigns,
    load_follow_up_rules,
    load_gates,
    load_parameters,
    load_promise_rules,
    load_road_map,
    load_slots,
)
from tests.make.auth import make_org_unit

PROMISE = """
promise_rules:
- code: p1
  org_path: yj.
  work_type: repair
  valid_from: 2025-01-01
  cut_off: "16:00"
  due_time: "23:59"
  hours_after: 24
  compensation_fen: 1000
  compensation_per: day
  compensation_cap_fen: 10000
"""
FOLLOW_UP_RULE = """
follow_up_rules:
- code: f1
  org_path: yj.
  work_type: repair
  valid_from: 2026-01-01
  channel: survey
  share_percent: 50
  delay_hours: 2
  valid_days: 7
  quiet_days: 30
  spares_do_not_disturb: true
"""
PARAMETER = """
parameters:
- name: visits.far_check_in_m
  org_path: yj.
  valid_from: 2026-01-01T00:00:00+08:00
  value: 200
"""


def counts(report):
    return report.inserted, report.updated, report.unchanged, report.refused


async def test_a_promise_is_loaded_once(tx):
    assert counts(await load_promise_rules(tx, PROMISE)) == (1, 0, 0, 0)
    assert counts(await load_promise_rules(tx, PROMISE)) == (0, 0, 1, 0)
    rule = await tx.scalar(select(PromiseRule))
    assert (rule.cut_off, rule.due_time, rule.valid_from) == (
        time(16, 0),
        time(23, 59),
        date(2025, 1, 1),
    )


async def test_whom_to_ask_is_loaded_once_and_not_rewritten(tx):
    assert counts(await load_follow_up_rules(tx, FOLLOW_UP_RULE)) == (1, 0, 0, 0)
    assert counts(await load_follow_up_rules(tx, FOLLOW_UP_RULE)) == (0, 0, 1, 0)
    with pytest.raises(FileRefused) as refused:
        await load_follow_up_rules(tx, FOLLOW_UP_RULE.replace("50", "101"))
    assert refused.value.facts["lines"][0]["field"] == "share_percent"
    with pytest.raises(FileRefused):
        await load_follow_up_rules(tx, FOLLOW_UP_RULE.replace("50", "60"))


async def test_a_promise_can_end_and_is_not_rewritten(tx):
    await load_promise_rules(tx, PROMISE)
    ended = f"{PROMISE}  valid_to: 2026-06-01\n"
    assert counts(await load_promise_rules(tx, ended)) == (0, 1, 0, 0)
    with pytest.raises(FileRefused) as refused:
        await load_promise_rules(tx, ended.replace("10000", "20000"))
    assert refused.value.facts["lines"][0]["field"] == "compensation_cap_fen"
    rule = await tx.scalar(select(PromiseRule))
    assert (rule.valid_to, rule.compensation_cap_fen) == (date(2026, 6, 1), 10000)


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        ("repair", "dance", "work_type"),
        ("hours_after: 24", "hours_after: 0", "hours_after"),
        ("per: day", "per: moon", "compensation_per"),
        ("org_path: yj.", "org_path: yj", "org_path"),
        ('"16:00"', '"25:00"', "cut_off"),
        ("  due_time", "  dew_time", "due_time"),
    ],
)
async def test_bad_promises_are_named(tx, was, becomes, field):
    with pytest.raises(FileRefused) as refused:
        await load_promise_rules(tx, PROMISE.replace(was, becomes))
    assert refused.value.facts["line"] == 3
    assert field in {fault["field"] for fault in refused.value.facts["lines"]}
    report = await load_promise_rules(tx, PROMISE.replace(was, becomes), skip_refused=True)
    assert counts(report) == (0, 0, 0, 1)


async def test_parameters_are_loaded_once_and_changed_by_moment(tx):
    assert counts(await load_parameters(tx, PARAMETER)) == (1, 0, 0, 0)
    assert counts(await load_parameters(tx, PARAMETER)) == (0, 0, 1, 0)
    assert counts(await load_parameters(tx, PARAMETER.replace("200", "250"))) == (0, 1, 0, 0)
    later = PARAMETER.replace("2026-01-01", "2026-02-01")
    assert counts(await load_parameters(tx, later)) == (1, 0, 0, 0)
    values = await tx.scalars(select(ParameterValue.value).order_by(ParameterValue.valid_from))
    assert values.all() == [250, 200]


@pytest.mark.parametrize(
    ("was", "becomes", "field"),
    [
        ("visits.far_check_in_m", "visits.mood", "name"),
        ("value: 200", "value: -1", "value"),
        ("value: 200", "value: many", "value"),
        ("+08:00", "", "valid_from"),
    ],
)
async def test_bad_parameters_are_named(tx, was, becomes, field):
    with pytest.raises(FileRefused) as refused:
        await load_parameters(tx, PARAMETER.replace(was, becomes))
    assert [fault["field"] for fault in refused.value.facts["lines"]] == [field]


ROAD_MAP = """
road_map:
- {org_unit: np, figure: covered_share, due_on: 2026-12-31, target: 0.65}
- {org_unit: np, figure: blocks, due_on: 2026-12-31, target: 2}
"""


async def test_a_road_map_is_loaded_by_unit_figure_and_day(tx):
    await make_org_unit(tx, code="np")
    assert counts(await load_road_map(tx, ROAD_MAP)) == (2, 0, 0, 0)
    assert counts(await load_road_map(tx, ROAD_MAP)) == (0, 0, 2, 0)
    assert counts(await load_road_map(tx, ROAD_MAP.replace("0.65", "0.7"))) == (0, 1, 1, 0)
    targets = await tx.scalars(select(GridExpansion.target).order_by(GridExpansion.target))
    assert targets.all() == [0.7, 2]


@pytest.mark.parametrize(
    "wrong, right, field",
    [
        ("target: 65", "target: 0.65", "target"),
        ("figure: sales", "figure: blocks", "figure"),
        ("org_unit: nowhere", "org_unit: np", "org_unit"),
    ],
)
async def test_a_road_map_with_a_fault_is_refused_by_line(tx, wrong, right, field):
    await make_org_unit(tx, code="np")
    with pytest.raises(FileRefused) as refused:
        await load_road_map(tx, ROAD_MAP.replace(right, wrong, 1))
    (line,) = refused.value.facts["lines"]
    assert line["field"] == field


SLOT = """
slots:
- code: morning
  category: install
  work_types: [install, relocate]
  starts_at: "08:00"
  ends_at: "10:00"
  valid_from: 2025-01-01
"""


async def test_a_slot_is_loaded_once_ended_and_not_rewritten(tx):
    assert counts(await load_slots(tx, SLOT)) == (1, 0, 0, 0)
    assert counts(await load_slots(tx, SLOT)) == (0, 0, 1, 0)
    ended = SLOT + "  valid_to: 2026-04-01\n"
    assert counts(await load_slots(tx, ended)) == (0, 1, 0, 0)
    with pytest.raises(FileRefused):
        await load_slots(tx, ended.replace("10:00", "11:00"))


@pytest.mark.parametrize(
    "was, becomes",
    [
        ("10:00", "08:00"),
        ("morning", "now"),
        ("[install, relocate]", "[]"),
        ("valid_from: 2025-01-01", "valid_from: 2025-01-01\n  valid_to: 2025-01-01"),
        ("install, relocate", "instal"),
    ],
)
async def test_bad_slots_are_named(tx, was, becomes):
    with pytest.raises(FileRefused):
        await load_slots(tx, SLOT.replace(was, becomes))


async def test_gates_and_campaigns_are_loaded_once_and_what_always_holds_is_refused(tx):
    gates = (HERE / "gates.yaml").read_text(encoding="utf-8")
    campaigns = (HERE / "campaigns.yaml").read_text(encoding="utf-8")
    for load, document in [(load_gates, gates), (load_campaigns, campaigns)]:
        assert counts(await load(tx, document)) == (1, 0, 0, 0)
        assert counts(await load(tx, document)) == (0, 0, 1, 0)
    absolute = gates.replace("line_unknown", "do_not_disturb").replace("true", "false")
    for wrong in (absolute.replace("0001", "0002"), gates.replace("true", "false")):
        with pytest.raises(FileRefused):
            await load_gates(tx, wrong)
    assert len((await tx.scalars(select(SuggestionGate))).all()) == 1
    with pytest.raises(FileRefused):
        await load_campaigns(tx, campaigns.replace("factor: 1.1", "factor: 3"))
