"""Rules of retention: toolkits and paths, codes, who is taken care of, and what came of it."""

from dataclasses import replace
from datetime import UTC, date, datetime
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Invalid, Problem
from app.core.i18n import Words
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.retention.rules import (
    Arm,
    CaseOutcome,
    CaseState,
    Cause,
    Hand,
    Handling,
    LeaveReason,
    LeaverSource,
    StayReason,
    TermsState,
    ToolkitKind,
)
from app.retention.rules.cases import Said, after, held_out, may_claim
from app.retention.rules.effects import Kept, effect, interval
from app.retention.rules.leavers import outweighs, reason_of
from app.retention.rules.terms import StepNotYours, code_from, code_hash, may_judge, standing
from app.retention.rules.toolkits import (
    STANDARD,
    DatedToolkit,
    Mandate,
    Subject,
    Terms,
    TermsBeyondMandate,
    TermsOffTheSteps,
    Toolkit,
    faults_of,
    hand_of,
    path_of,
    toolkit_for,
)
from app.retention.rules.warnings import CareRule, Warned, decide, rules_for

NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
T, S, M = Hand.TECHNICIAN, Hand.SUPERVISOR, Hand.MANAGER
KIT = Toolkit(
    kind=ToolkitKind.RETENTION,
    name=Words("包", "kit"),
    offers=("RENEW-24",),
    talk_track=Words("您好", "hello"),
    mandates=(Mandate(T, 5, 3), Mandate(S, 10, 6), Mandate(M, 30, 12)),
    approval=(S, M),
    steps=(Terms(5, 3), Terms(5, 6), Terms(10, 6), Terms(20, 6), Terms(30, 12)),
)


@pytest.mark.parametrize(
    "role, path, hand",
    [
        (Role.TECHNICIAN, "yj.", T),
        (Role.SUPERVISOR, "yj.ch.np.b01.", S),
        (Role.SUPERVISOR, "yj.ch.np.b01.c1.", S),
        (Role.SUPERVISOR, "yj.ch.np.", M),
        (Role.ADMIN, "yj.", M),
    ],
)
def test_whose_word_it_is(role, path, hand):
    assert hand_of(role, path) is hand


@pytest.mark.parametrize(
    "asker, percent, months, path",
    [
        (T, 0, 0, ()),
        (T, 5, 3, ()),
        (T, 5, 6, (S,)),
        (T, 20, 6, (S, M)),
        (S, 10, 6, ()),
        (S, 30, 12, (M,)),
        (M, 30, 12, ()),
        (T, 3, 3, TermsOffTheSteps),  # within the mandate, but off the steps
        (S, 10, 5, TermsOffTheSteps),
        (M, 29, 12, TermsOffTheSteps),
        (M, 31, 1, TermsOffTheSteps),
        (M, 0, 12, TermsOffTheSteps),
        (M, 5, 0, TermsOffTheSteps),
    ],
)
def test_the_path_goes_up_as_far_as_somebody_may(asker, percent, months, path):
    if path is TermsOffTheSteps:
        with pytest.raises(TermsOffTheSteps) as refused:
            path_of(KIT, asker, Terms(percent, months))
        assert refused.value.facts["steps"] == [
            "5% × 3",
            "5% × 6",
            "10% × 6",
            "20% × 6",
            "30% × 12",
        ]
    else:
        assert path_of(KIT, asker, Terms(percent, months)) == path


@pytest.mark.parametrize(
    "mandates, approval, asker, path",
    [
        ((Mandate(M, 30, 12),), (M,), T, (M,)),
        ((Mandate(M, 30, 12),), (M,), S, (M,)),
        ((Mandate(M, 30, 12),), (M,), M, ()),
        ((Mandate(S, 10, 6), Mandate(M, 30, 12)), (S, M), T, (S,)),
        ((Mandate(T, 0, 0), Mandate(M, 30, 12)), (M,), T, ()),
        # Where nobody is named it is the manager's all the same.
        ((), (), T, (M,)),
        ((), (), M, ()),
    ],
)
def test_the_standard_offer_is_the_word_of_whom_the_toolkit_names(mandates, approval, asker, path):
    kit = replace(KIT, mandates=mandates, approval=approval, steps=())
    assert path_of(kit, asker, STANDARD) == path


def test_the_path_may_end_before_anybody_may_give_a_step():
    with pytest.raises(TermsBeyondMandate) as refused:
        path_of(replace(KIT, approval=(S,)), T, Terms(20, 6))
    assert refused.value.facts == {"discount_percent": 10, "months": 6}


def test_without_steps_of_its_own_a_toolkit_has_its_mandates_limits():
    plain = replace(KIT, steps=(), mandates=(*KIT.mandates[:2], Mandate(M, 0, 0)))
    assert plain.ladder() == [Terms(5, 3), Terms(10, 6)]
    assert path_of(plain, T, Terms(10, 6)) == (S,)
    with pytest.raises(TermsOffTheSteps):
        path_of(plain, T, Terms(9, 6))


@pytest.mark.parametrize(
    "change, field",
    [
        ({"offers": ("A", "A")}, "offers"),
        ({"offers": ()}, "offers"),
        ({"mandates": (Mandate(S, 1, 1), Mandate(S, 2, 2), Mandate(M, 3, 3))}, "mandates"),
        ({"mandates": (Mandate(S, 10, 6), Mandate(M, 5, 12))}, "mandates"),
        ({"steps": (Terms(5, 3), Terms(5, 3))}, "steps"),
        ({"steps": (Terms(0, 3),)}, "steps"),
        ({"steps": (Terms(20, 13),)}, "steps"),
        ({"hidden": True}, "hidden"),
        ({"approval": (M, S)}, "approval"),
        ({"approval": (S,), "mandates": (Mandate(M, 5, 3),)}, "approval"),
    ],
)
def test_what_makes_no_sense_is_found(change, field):
    assert faults_of(KIT) == []
    assert field in {fault.field for fault in faults_of(replace(KIT, **change))}


def kit(code: str, org_path: str = "", since: str = "2026-01-01", version: int = 1, **change):
    day = date.fromisoformat(since)
    return DatedToolkit(UUID(int=version), code, version, org_path, day, replace(KIT, **change))


@pytest.mark.parametrize(
    "subject, path, day, code",
    [
        (Subject(), "yj.", "2026-03-02", "any"),
        (Subject(tier=Tier.A), "yj.", "2026-03-02", "best"),
        (Subject(tier=Tier.A, churn_class=ChurnClass.HIGH), "yj.", "2026-03-02", "best-high"),
        (Subject(tier=Tier.D), "yj.", "2026-03-02", "any"),
        # Who is worth more than they bring counts one tier up, and has no terms of their own.
        (Subject(tier=Tier.D, hidden=True), "yj.", "2026-03-02", "any"),
        (Subject(tier=Tier.B, hidden=True), "yj.", "2026-03-02", "best"),
        (Subject(hidden=True), "yj.", "2026-03-02", "any"),
        (Subject(tier=Tier.A, churn_class=ChurnClass.HIGH), "yj.np.", "2026-03-02", "own"),
        (Subject(), "yj.", "2025-12-31", None),
        (Subject(), "yj.", "2026-06-01", None),  # withdrawn by its second version
    ],
)
def test_the_closest_and_most_telling_toolkit_is_a_customers(subject, path, day, code):
    known = [
        kit("any"),
        kit("any", since="2026-06-01", version=2, active=False),
        kit("hidden", hidden=True),
        kit("hidden-words", hidden=True, mandates=(), approval=(), steps=()),
        kit("best", tiers=(Tier.A,)),
        kit("best-high", tiers=(Tier.A, Tier.B), churn_classes=(ChurnClass.HIGH,)),
        kit("own", "yj.np."),
        kit("other", kind=ToolkitKind.RENEWAL, stages=(Stage.CLIMAX,)),
    ]
    found = toolkit_for(known, ToolkitKind.RETENTION, subject, path, date.fromisoformat(day))
    assert (found and found.code) == code


@pytest.mark.parametrize(
    "tier, hidden, counts, up",
    [
        (Tier.D, True, Tier.C, Tier.C),
        (Tier.C, True, Tier.B, Tier.B),
        (Tier.A, True, Tier.A, None),
        (Tier.C, False, Tier.C, None),
        (None, True, None, None),
    ],
)
def test_who_is_worth_more_than_they_bring_counts_one_tier_up(tier, hidden, counts, up):
    subject = Subject(tier=tier, hidden=hidden)
    assert (subject.counted_tier, subject.stepped_up) == (counts, up)


def test_where_no_terms_can_be_had_hidden_value_has_words_of_its_own():
    care = kit("b", kind=ToolkitKind.CARE_BY_VALUE, mandates=(), steps=(), tiers=(Tier.B,))
    own = replace(care.toolkit, tiers=(), hidden=True)
    known = [care, care._replace(code="hidden", toolkit=own)]
    day = date(2026, 3, 2)
    for tier, code in ((Tier.C, "hidden"), (Tier.D, "hidden")):
        subject = Subject(tier=tier, hidden=True)
        found = toolkit_for(known, ToolkitKind.CARE_BY_VALUE, subject, "yj.", day)
        assert found is not None and found.code == code


# What a toolkit may be meant for, drawn at random; two of them may stand at one customer.
KITS = st.builds(
    lambda code, path, tiers, churn, hidden, percents: kit(
        code,
        path,
        tiers=tuple(tiers),
        churn_classes=tuple(churn),
        hidden=hidden,
        mandates=(Mandate(M, 50, 12),),
        steps=tuple(Terms(percent, 12) for percent in percents) or (Terms(0, 0),),
    ),
    code=st.sampled_from("abcdefgh"),
    path=st.sampled_from(["", "yj."]),
    tiers=st.sets(st.sampled_from(Tier)),
    churn=st.sets(st.sampled_from(ChurnClass), max_size=1),
    hidden=st.booleans(),
    percents=st.sets(st.integers(1, 50), max_size=3),
)


@given(
    kits=st.lists(KITS, max_size=6, unique_by=lambda one: one.code),
    tier=st.sampled_from(Tier),
    churn=st.sampled_from(ChurnClass),
)
def test_two_customers_who_count_as_one_tier_have_the_same_terms(kits, tier, churn):
    """Whatever toolkits there are: what is not told of a customer moves no price."""

    def ladder(subject):
        day = date(2026, 3, 2)
        found = toolkit_for(kits, ToolkitKind.RETENTION, subject, "yj.np.", day)
        return found.toolkit.ladder() if found else []

    hidden = Subject(tier, churn, hidden=True)
    assert ladder(hidden) == ladder(Subject(hidden.counted_tier, churn))


@given(st.binary(min_size=32, max_size=32))
@settings(max_examples=30)
def test_a_code_is_read_as_it_is_told(seal):
    code = code_from(seal)
    assert len(code) == 11
    assert not set("ILOU") & set(code)
    told = code.lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert code_hash(told) == code_hash(code)


def test_codes_differ_and_open_terms_end():
    assert len({code_from(bytes([n]) * 32) for n in range(200)}) == 200
    for state in TermsState:
        over = standing(state, NOW, NOW)
        assert over is (TermsState.EXPIRED if state in ("waiting", "approved") else state)


def test_nobody_approves_for_themselves_or_twice():
    may_judge(S, S, "b", "a", [])
    may_judge(S, M, "b", "a", [])
    for wanted, hand, account, before in ((M, S, "b", []), (S, S, "a", []), (M, M, "b", ["b"])):
        with pytest.raises(StepNotYours):
            may_judge(wanted, hand, account, "a", before)


# --- who is taken care of -------------------------------------------------------------------------


def rule(place: int, handling: Handling = Handling.VISIT, org_path: str = "", **fields) -> CareRule:
    return CareRule(
        UUID(int=place),
        f"r{place}",
        org_path,
        date(2026, 1, 1),
        fields.get("valid_to"),
        place,
        fields.get("causes", ()),
        fields.get("tiers", ()),
        fields.get("classes", ()),
        handling,
        2,
        fields.get("hidden", False),
    )


def warned(value: int | None = None, **fields) -> Warned:
    one = Warned(
        customer_id=new_id(),
        change_id=new_id(),
        causes=frozenset({Cause.CHURN_HIGH, Cause.TIER_FELL}),
        stage=Stage.DECLINE,
        tier=Tier.B,
        churn_class=ChurnClass.HIGH,
        hidden_high_value=False,
        value_12m_fen=value,
        grid_id=UUID(int=1),
        has_address=True,
    )
    return one._replace(**fields)


def decided(people, rules, *, taken=None, a_week=100, percent=0.0):
    return decide(people, rules, taken or {}, a_week=a_week, holdout_percent=percent, now=NOW)


def test_of_the_closest_units_rules_the_first_that_fits_counts():
    rules = [rule(20), rule(10, valid_to=date(2026, 2, 1)), rule(5, org_path="yj.np.")]
    assert [one.place for one in rules_for(rules, "yj.b.", date(2026, 3, 2))] == [20]
    assert [one.place for one in rules_for(rules, "yj.b.", date(2026, 1, 2))] == [10, 20]
    assert [one.place for one in rules_for(rules, "yj.np.b.", date(2026, 3, 2))] == [5]
    assert rules_for(rules, "yj.", date(2025, 3, 2)) == []


@pytest.mark.parametrize(
    "change, handling, cause",
    [
        ({"tier": Tier.A}, Handling.VISIT, Cause.CHURN_HIGH),
        ({"tier": Tier.A, "has_address": False}, Handling.CALL, Cause.CHURN_HIGH),
        ({"tier": Tier.C}, Handling.CALL, Cause.CHURN_HIGH),
        ({"tier": Tier.C, "causes": frozenset({Cause.TIER_FELL})}, None, None),
        ({"tier": Tier.D}, None, None),
        ({"tier": None}, None, None),
        ({"tier": Tier.A, "churn_class": ChurnClass.MID}, Handling.CALL, Cause.TIER_FELL),
        ({"tier": Tier.D, "hidden_high_value": True}, Handling.CALL, Cause.CHURN_HIGH),
        ({"tier": Tier.A, "hidden_high_value": True}, Handling.VISIT, Cause.CHURN_HIGH),
    ],
)
def test_what_a_warned_customer_is_given(change, handling, cause):
    rules = [
        rule(1, tiers=(Tier.A, Tier.B), classes=(ChurnClass.HIGH,), causes=(Cause.CHURN_HIGH,)),
        rule(2, Handling.CALL, tiers=(Tier.C,), causes=(Cause.CHURN_HIGH,)),
        rule(3, Handling.CALL, tiers=(Tier.A,), causes=(Cause.TIER_FELL,)),
        rule(8, Handling.CALL, hidden=True),
        rule(9, Handling.NOTHING),
    ]
    found = decided([warned(**change)], rules)
    assert [(one.handling, one.cause) for one in found] == ([(handling, cause)] if cause else [])


def test_a_grids_week_goes_to_the_most_valuable_and_the_hidden_ones():
    poor, rich, hidden, far = (
        warned(100),
        warned(900),
        warned(None, hidden_high_value=True),
        warned(500, grid_id=UUID(int=2)),
    )
    found = decided([poor, far, rich, hidden], [rule(1)], taken={UUID(int=1): 1}, a_week=3)
    assert [one.warned for one in found] == [hidden, rich, far]


@given(st.integers(0, 60), st.integers(0, 8), st.integers(0, 50))
@settings(max_examples=25)
def test_no_grid_gets_more_than_its_week_and_the_held_out_take_nothing_of_it(people, a_week, share):
    found = decided([warned(n) for n in range(people)], [rule(1)], a_week=a_week, percent=share)
    treated = [one for one in found if one.arm is Arm.TREATED]
    assert len(treated) <= a_week
    assert len(treated) == a_week or len(found) == people
    assert len({one.warned.customer_id for one in found}) == len(found)


def test_the_share_left_alone_is_as_large_as_said_and_stays_for_a_quarter():
    ids = [UUID(int=n * 7919) for n in range(4000)]
    alone = {one for one in ids if held_out(one, NOW, 10)}
    assert 300 < len(alone) < 500
    assert alone == {one for one in ids if held_out(one, NOW.replace(day=31), 10)}
    assert alone != {one for one in ids if held_out(one, NOW.replace(month=4), 10)}
    assert alone <= {one for one in ids if held_out(one, NOW, 20)}


# --- how cases end --------------------------------------------------------------------------------

TODAY = date(2026, 3, 2)


@pytest.mark.parametrize(
    "said, field",
    [
        (Said(CaseOutcome.REFUSED), "reason"),
        (Said(CaseOutcome.STAYS, StayReason.PRICE), "reason"),
        (Said(CaseOutcome.LEAVES, StayReason.PRICE, "X"), "competitor"),
        (Said(CaseOutcome.LATER), "again_on"),
        (Said(CaseOutcome.LATER, again_on=TODAY), "again_on"),
        (Said(CaseOutcome.STAYS, again_on=date(2026, 3, 9)), "again_on"),
        (Said(CaseOutcome.STAYS, offering_code="A"), "offering_code"),
        (Said(CaseOutcome.LATER, again_on=date(2026, 3, 9)), None),
        (Said(CaseOutcome.REFUSED, StayReason.COMPETITOR, "X"), None),
        (Said(CaseOutcome.ACCEPTED, offering_code="A"), None),
    ],
)
def test_an_outcome_says_what_belongs_to_it(said, field):
    if field is None:
        said.checked(TODAY)
        return
    with pytest.raises(Invalid) as refused:
        said.checked(TODAY)
    assert [error["field"] for error in refused.value.facts["errors"]] == [field]


@pytest.mark.parametrize(
    "outcome, tries, state",
    [
        (CaseOutcome.LATER, 0, CaseState.OPEN),
        (CaseOutcome.UNREACHED, 2, CaseState.OPEN),
        (CaseOutcome.UNREACHED, 3, CaseState.UNREACHED),
        (CaseOutcome.WRONG_NUMBER, 0, CaseState.UNREACHED),
        (CaseOutcome.REFUSED, 0, CaseState.DONE),
        (CaseOutcome.STAYS, 0, CaseState.DONE),
    ],
)
def test_where_a_case_stands_afterwards(outcome, tries, state):
    assert after(outcome, tries, most=3) is state


def test_a_call_is_anybodys_until_somebody_is_at_it():
    me, other = new_id(), new_id()
    soon = NOW.replace(hour=2)
    may_claim(CaseState.OPEN, Handling.CALL, None, None, me, NOW)
    may_claim(CaseState.OPEN, Handling.CALL, me, soon, me, NOW)
    may_claim(CaseState.OPEN, Handling.CALL, other, NOW, me, NOW)
    for state, handling, by, slug in (
        (CaseState.DONE, Handling.CALL, None, "case-not-open"),
        (CaseState.OPEN, Handling.VISIT, None, "case-not-called"),
        (CaseState.OPEN, Handling.CALL, other, "case-claimed"),
    ):
        with pytest.raises(Problem) as refused:
            may_claim(state, handling, by, soon, me, NOW)
        assert refused.value.slug == slug


# --- leavers and effects --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code, reason",
    [
        ("removed", LeaveReason.UNKNOWN),
        (None, LeaveReason.UNKNOWN),
        ("removed_competitor", LeaveReason.COMPETITOR),
        ("removed_moved_away", LeaveReason.MOVED_AWAY),
        ("price", LeaveReason.PRICE),
        ("overprice", LeaveReason.UNKNOWN),
    ],
)
def test_a_closing_code_says_why(code, reason):
    assert reason_of(code) is reason


def test_a_persons_word_beats_a_files_and_no_reason_beats_nothing():
    price, unknown = LeaveReason.PRICE, LeaveReason.UNKNOWN
    assert outweighs(LeaverSource.RECORDED, LeaverSource.CRM, price)
    assert outweighs(LeaverSource.CRM, LeaverSource.LIFECYCLE, price)
    assert not outweighs(LeaverSource.CRM, LeaverSource.REMOVAL, price)
    assert not outweighs(LeaverSource.RECORDED, LeaverSource.CRM, unknown)


def test_an_interval_is_the_one_of_the_books():
    # Newcombe (1998), example (a): 56/70 against 48/80.
    found = effect(Kept(56, 70), Kept(48, 80))
    assert found is not None
    assert (found.difference, found.low, found.high) == (0.2, 0.0524, 0.3339)
    assert interval(Kept(0, 0)) == (0.0, 1.0)
    assert effect(Kept(0, 0), Kept(1, 2)) is None


@given(st.integers(0, 50), st.integers(1, 50), st.integers(0, 50), st.integers(1, 50))
@settings(max_examples=40)
def test_the_difference_lies_within_its_interval(a, m, b, n):
    found = effect(Kept(min(a, m), m), Kept(min(b, n), n))
    assert found is not None
    assert -1 <= found.low <= found.difference <= found.high <= 1
