"""What makes no sense in a template is refused, with the field and the reason."""

import pytest

from app.worktypes.queries import READ
from app.worktypes.rules import WorkType, faults_of
from tests.make.worktypes import content

SAID = {"zh": "说", "en": "said"}
TIDY = {"code": "tidy", "words": SAID}
POWER = {"measure": "optical_rx_power_dbm"}
FIXED = {"code": "fixed", "words": SAID, "works_again": True}


def fields_of(**given):
    return [fault.field for fault in faults_of(READ.validate_python(content(**given)))]


def test_a_template_that_makes_sense_has_no_faults():
    assert fields_of() == []


@pytest.mark.parametrize(
    ("given", "fields"),
    [
        ({"closing_codes": []}, ["closing_codes"] * 2),
        ({"closing_codes": [{**FIXED, "works_again": False}]}, ["closing_codes"]),
        (
            {"work_type": WorkType.INSTALL, "closing_codes": [FIXED]},
            ["closing_codes.0.works_again"],
        ),
        ({"checklist": [TIDY, TIDY]}, ["checklist.1.code"]),
        ({"checklist": [TIDY, {**TIDY, "code": "terminals"}]}, ["checklist.1.code"]),
        ({"evidence": [{**TIDY, "kind": "photo"}]}, ["evidence.0.code"]),
        ({"measurements": [POWER, POWER]}, ["measurements.1.measure"]),
        ({"measurements": [{**POWER, "least": -8, "most": -27}]}, ["measurements.0.least"]),
        ({"closing_codes": [FIXED, FIXED]}, ["closing_codes.1.code"]),
        ({"closing_codes": [{**FIXED, "waives": ["tidy", "mood"]}]}, ["closing_codes.0.waives.1"]),
        ({"closing_codes": [{**FIXED, "waives": ["activation"]}]}, []),
        ({"skills": ["fibre", "fibre"]}, ["skills.1"]),
        ({"fits": ["camera", "camera"]}, ["fits.1"]),
        ({"needs": ["camera", "camera"]}, ["needs.1"]),
    ],
)
def test_faults_are_named_by_their_field(given, fields):
    assert fields_of(**given) == fields
