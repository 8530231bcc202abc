"""The demo's templates, each with all that keeps an order of its type from being complete."""

from dataclasses import replace
from datetime import date
from functools import cache

import pytest

from app.core.files import entries_of
from app.terminals.rules import TerminalKind
from app.worktypes.loading import EntryIn, load_work_types
from app.worktypes.queries import templates
from app.worktypes.rules import (
    BUILT_IN,
    Done,
    Line,
    Template,
    Wanting,
    WorkType,
    faults_of,
    judge,
    template_for,
)
from seed.city import HERE
from seed.people import SKILLS

DOCUMENT = (HERE / "work_types.yaml").read_text("utf-8")
POWER, SPEED = "optical_rx_power_dbm", "download_mbps"


@cache
def loaded() -> dict[WorkType, Template]:
    common, entries = entries_of("work-types", DOCUMENT, "work_types")
    read = [EntryIn.model_validate({**common, **entry}) for _, entry in entries]
    return {entry.work_type: entry.template() for entry in read}


def everything(template: Template) -> Done:
    """All that a template asks for, done."""
    return Done(
        checked=frozenset(check.code for check in template.checklist),
        stored={one.code: one.least for one in template.evidence if not one.may_follow},
        announced={one.code: one.least for one in template.evidence if one.may_follow},
        measurements={POWER: -19.4, SPEED: 480.0, "latency_ms": 9.0},
        fitted=frozenset(template.fits),
        line=Line.PROVISIONED,
        signed=True,
    )


def lacking(template: Template, done: Done, code: str | None = None) -> set[tuple[Wanting, str]]:
    closing = template.closing(code) if code else template.closing_codes[0]
    return {(one.wanting, one.code) for one in judge(template, closing, done).missing}


async def test_the_file_has_a_template_for_every_work_type_of_the_city(tx):
    assert (await load_work_types(tx, DOCUMENT)).inserted == len(WorkType)
    known = (await templates(tx)).values()
    for work_type in WorkType:
        found = template_for(known, work_type, "yj.ch.np.", date(2026, 3, 2))
        assert found is not None
        assert found.template == loaded()[work_type]


@pytest.mark.parametrize("work_type", WorkType)
def test_each_template_can_be_met_and_nobody_becomes_unable(work_type):
    template = loaded()[work_type]
    assert faults_of(template) == []
    assert lacking(template, everything(template)) == set()
    # The codes known without any template go on working, so that no phone stands still.
    codes = {closing.code for closing in template.closing_codes}
    assert {closing.code for closing in BUILT_IN[work_type].closing_codes} <= codes
    assert set(template.skills) <= {"fibre", *SKILLS}
    assert template.needs == ()


CHECKS, EVIDENCE, FITTED = Wanting.CHECK, Wanting.EVIDENCE, Wanting.FITTED
NOTHING = {
    WorkType.INSTALL: {
        *((CHECKS, code) for code in ("identity_shown", "cabling_tidy", "label_on")),
        *((CHECKS, code) for code in ("speed_shown", "wifi_explained", "site_clean")),
        *((EVIDENCE, code) for code in ("ont_installed", "ont_label")),
        *((EVIDENCE, code) for code in ("fibre_entry", "splitter_port")),
        (Wanting.MEASUREMENT, POWER),
        (Wanting.MEASUREMENT, SPEED),
        (FITTED, "ont_gateway"),
        (Wanting.ACTIVATION, "not_asked"),
        (Wanting.ACCEPTANCE, "either"),
    },
    WorkType.RELOCATE: {
        *((CHECKS, code) for code in ("identity_shown", "old_line_out", "cabling_tidy")),
        *((CHECKS, code) for code in ("label_on", "speed_shown", "site_clean")),
        *((EVIDENCE, code) for code in ("ont_installed", "splitter_port")),
        (Wanting.MEASUREMENT, POWER),
        (Wanting.MEASUREMENT, SPEED),
        (Wanting.ACTIVATION, "not_asked"),
        (Wanting.ACCEPTANCE, "either"),
    },
    WorkType.REMOVE: {
        *((CHECKS, code) for code in ("identity_shown", "port_released", "site_clean")),
        (EVIDENCE, "terminals_taken"),
    },
    WorkType.REPAIR: {
        *((CHECKS, code) for code in ("cause_told", "works_shown", "site_clean")),
        (EVIDENCE, "after_repair"),
        (Wanting.MEASUREMENT, POWER),
    },
    WorkType.CARE: {
        *((CHECKS, code) for code in ("identity_shown", "line_checked", "wifi_walked")),
        (CHECKS, "wishes_noted"),
        (Wanting.MEASUREMENT, SPEED),
    },
}


@pytest.mark.parametrize("work_type", WorkType)
def test_with_nothing_done_all_is_said_at_once(work_type):
    assert lacking(loaded()[work_type], Done()) == NOTHING[work_type]


@pytest.mark.parametrize(
    ("work_type", "change", "missing"),
    [
        (WorkType.INSTALL, {"measurements": {POWER: -27.5, SPEED: 90.0}}, {POWER}),
        (WorkType.INSTALL, {"measurements": {POWER: -7.5, SPEED: 90.0}}, {POWER}),
        (WorkType.INSTALL, {"line": Line.UNDER_WAY}, {"under_way"}),
        (WorkType.INSTALL, {"line": Line.FAILED}, {"failed"}),
        (WorkType.INSTALL, {"line": Line.OVERRIDDEN}, set()),
        (WorkType.INSTALL, {"signed": False}, {"either"}),
        (WorkType.INSTALL, {"signed": False, "code_accepted": True}, set()),
        (WorkType.INSTALL, {"fitted": frozenset({TerminalKind.CAMERA})}, {"ont_gateway"}),
        (WorkType.INSTALL, {"stored": {}, "announced": {}}, {"ont_installed", "ont_label"}),
        (WorkType.RELOCATE, {"measurements": {POWER: -28.0, SPEED: 90.0}}, {POWER}),
        (WorkType.REMOVE, {"left_behind": ("SN1", "SN2")}, {"SN1", "SN2"}),
        (WorkType.REPAIR, {"measurements": {POWER: -31.0}}, set()),
        (WorkType.CARE, {"measurements": {SPEED: 3.0}}, set()),
    ],
)
def test_each_refusal_of_each_template(work_type, change, missing):
    template = loaded()[work_type]
    found = {code for _, code in lacking(template, replace(everything(template), **change))}
    # Of an install, evidence whose bytes may follow was announced; the rest has to be there.
    assert found - {"fibre_entry", "splitter_port"} == missing


@pytest.mark.parametrize(
    ("work_type", "code", "left"),
    [
        (WorkType.INSTALL, "own_gateway", {"ont_label", "ont_gateway"}),
        (WorkType.REMOVE, "removed_terminals_owed", {"terminals_taken"}),
        (WorkType.REPAIR, "no_fault_found", {"cause_told", "after_repair"}),
        (WorkType.REPAIR, "fixed_elsewhere", {"site_clean", "after_repair", POWER}),
        (WorkType.CARE, "not_wanted", {"line_checked", "wifi_walked", SPEED}),
        (WorkType.RELOCATE, "moved_indoors", {"old_line_out", "splitter_port", "not_asked"}),
    ],
)
def test_what_a_closing_code_spares(work_type, code, left):
    template = loaded()[work_type]
    spared = lacking(template, Done()) - lacking(template, Done(), code)
    assert {found for _, found in spared} == left


def test_a_weak_signal_after_a_repair_is_only_pointed_out():
    template = loaded()[WorkType.REPAIR]
    done = replace(everything(template), measurements={POWER: -31.0})
    verdict = judge(template, template.closing("fixed"), done)
    assert [(one.wanting, one.code) for one in verdict.warnings] == [(Wanting.OUT_OF_LIMITS, POWER)]
