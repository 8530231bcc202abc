"""What a template asks for, and what is still missing before an order is complete."""

import pytest

from app.core.errors import Invalid
from app.core.i18n import Words
from app.terminals.rules import TerminalKind
from app.worktypes import rules
from app.worktypes.rules import (
    BUILT_IN,
    Acceptance,
    Check,
    ClosingCode,
    Done,
    EvidenceKind,
    Limits,
    Line,
    Measure,
    Outside,
    Recover,
    Requirement,
    Template,
    Wanting,
    WorkType,
)

SAID = Words("说", "said")
INSTALLED = ClosingCode("installed", SAID)
POWER = Measure.OPTICAL_RX_POWER_DBM


def asking(**fields) -> Template:
    return Template(WorkType.INSTALL, 90, (INSTALLED,), **fields)


def found(template: Template, done: Done, closing: ClosingCode = INSTALLED):
    verdict = rules.judge(template, closing, done)
    return (
        [(one.wanting, one.code) for one in verdict.missing],
        [(one.wanting, one.code) for one in verdict.warnings],
    )


def test_a_template_that_asks_for_nothing_is_met_by_nothing():
    assert found(asking(), Done()) == ([], [])


CHECKED = asking(checklist=(Check("tidy", SAID), Check("label", SAID)))
SEEN = asking(evidence=(Requirement("ont", EvidenceKind.PHOTO, SAID, least=2),))
FOLLOWS = asking(evidence=(Requirement("ont", EvidenceKind.PHOTO, SAID, may_follow=True),))
POWER_REFUSED = asking(
    measurements=(Limits(POWER, least=-27, most=-8, required=True, outside=Outside.REFUSE),)
)
POWER_WARNED = asking(measurements=(Limits(POWER, least=-27, most=-8),))
FITS = asking(fits=(TerminalKind.ONT_GATEWAY,))
RECOVERS = asking(recovers=Recover.ALL)
ACTIVATED = asking(activation=True)

LOW = (Wanting.OUT_OF_LIMITS, "optical_rx_power_dbm")


@pytest.mark.parametrize(
    ("template", "done", "missing", "warnings"),
    [
        (CHECKED, Done(checked=frozenset({"tidy"})), [(Wanting.CHECK, "label")], []),
        (CHECKED, Done(checked=frozenset({"tidy", "label", "other"})), [], []),
        (SEEN, Done(stored={"ont": 1}, announced={"ont": 1}), [(Wanting.EVIDENCE, "ont")], []),
        (SEEN, Done(stored={"ont": 2}), [], []),
        (FOLLOWS, Done(announced={"ont": 1}), [], []),
        (FOLLOWS, Done(), [(Wanting.EVIDENCE, "ont")], []),
        (POWER_REFUSED, Done(), [(Wanting.MEASUREMENT, "optical_rx_power_dbm")], []),
        (POWER_REFUSED, Done(measurements={POWER: -27.1}), [LOW], []),
        (POWER_REFUSED, Done(measurements={POWER: -7.9}), [LOW], []),
        (POWER_REFUSED, Done(measurements={POWER: -27.0}), [], []),
        (POWER_REFUSED, Done(measurements={POWER: -8.0}), [], []),
        (POWER_WARNED, Done(measurements={POWER: -30.0}), [], [LOW]),
        (POWER_WARNED, Done(), [], []),
        (FITS, Done(), [(Wanting.FITTED, "ont_gateway")], []),
        (FITS, Done(fitted=frozenset({TerminalKind.ONT_GATEWAY})), [], []),
        (RECOVERS, Done(left_behind=("SN1",)), [(Wanting.RECOVERED, "SN1")], []),
        (RECOVERS, Done(), [], []),
        (ACTIVATED, Done(), [(Wanting.ACTIVATION, "not_asked")], []),
        (ACTIVATED, Done(line=Line.UNDER_WAY), [(Wanting.ACTIVATION, "under_way")], []),
        (ACTIVATED, Done(line=Line.FAILED), [(Wanting.ACTIVATION, "failed")], []),
        (ACTIVATED, Done(line=Line.PROVISIONED), [], []),
        (ACTIVATED, Done(line=Line.OVERRIDDEN), [], []),
    ],
)
def test_what_is_missing(template, done, missing, warnings):
    assert found(template, done) == (missing, warnings)


@pytest.mark.parametrize(
    ("wanted", "coded", "signed", "enough"),
    [
        (Acceptance.NONE, False, False, True),
        (Acceptance.CODE, True, False, True),
        (Acceptance.CODE, False, True, False),
        (Acceptance.SIGNATURE, False, True, True),
        (Acceptance.SIGNATURE, True, False, False),
        (Acceptance.EITHER, True, False, True),
        (Acceptance.EITHER, False, True, True),
        (Acceptance.EITHER, False, False, False),
    ],
)
def test_how_the_customer_accepts(wanted, coded, signed, enough):
    missing, _ = found(asking(acceptance=wanted), Done(code_accepted=coded, signed=signed))
    assert missing == ([] if enough else [(Wanting.ACCEPTANCE, wanted.value)])


def test_a_closing_code_waives_what_it_names():
    template = Template(
        WorkType.REPAIR,
        60,
        (),
        checklist=(Check("tidy", SAID),),
        measurements=(Limits(POWER, required=True),),
        fits=(TerminalKind.ONT_GATEWAY,),
        activation=True,
        acceptance=Acceptance.CODE,
    )
    everything = ("tidy", POWER.value, "terminals", "activation", "acceptance")
    assert len(found(template, Done())[0]) == len(everything)
    assert found(template, Done(), ClosingCode("nobody", SAID, waives=everything)) == ([], [])


def test_all_that_is_missing_is_said_at_once_in_both_languages():
    template = asking(
        checklist=(Check("tidy", Words("整理", "tidy up")),),
        measurements=POWER_REFUSED.measurements,
    )
    verdict = rules.judge(template, INSTALLED, Done(measurements={POWER: -31.5}))
    assert [one.words for one in verdict.missing] == [
        Words("整理", "tidy up"),
        Words("光衰（dBm） -31.5，低于下限 -27", "optical power received (dBm) -31.5 is below -27"),
    ]


@pytest.mark.parametrize("work_type", WorkType)
def test_an_unknown_closing_code_is_refused_with_those_there_are(work_type):
    template = BUILT_IN[work_type]
    for known in template.closing_codes:
        assert template.closing(known.code) is known
    with pytest.raises(Invalid) as refused:
        template.closing("vanished")
    (error,) = refused.value.facts["errors"]
    assert error["field"] == "outcome_code"
    assert all(known.code in error["message"] for known in template.closing_codes)
