"""What is no longer needed at a customer's, why, and who may fetch it."""

from datetime import date
from uuid import uuid4

import pytest

from app.recovery import rules
from app.recovery.rules import Fetching, Needs, RecoveryTaken, Service
from app.terminals.rules import DueCause, TerminalKind
from app.workorders.rules import State

GATEWAY, BOX = TerminalKind.ONT_GATEWAY, TerminalKind.SET_TOP_BOX
NEEDS = Needs(
    kinds={
        "broadband": frozenset({GATEWAY}),
        "tv": frozenset({BOX}),
        "tv_pack": frozenset(),
        "cloud": frozenset(),
    },
    requires={
        "tv": frozenset({"broadband"}),
        "tv_pack": frozenset({"tv"}),
        "mobile_sub": frozenset({"mobile"}),
    },
    own={"LINE-500": frozenset({GATEWAY}), "ROUTER-TV": frozenset({BOX})},
)


def service(category: str, code: str = "?", price: int = 9900, speed: int | None = 300) -> Service:
    return Service(code, category, price, speed)


LINE, TV, PACK = service("broadband"), service("tv"), service("tv_pack")
MOBILE, UNHEARD_OF = service("mobile"), service("telegraph")


@pytest.mark.parametrize(
    ("was", "running", "owed"),
    [
        (LINE, [], {GATEWAY}),
        (LINE, [MOBILE], {GATEWAY}),
        # A second line, or television that runs over the line, still needs the gateway.
        (LINE, [service("broadband", "LINE-500")], set()),
        (LINE, [TV], set()),
        (LINE, [PACK], set()),
        (TV, [LINE], {BOX}),
        (TV, [LINE, PACK], set()),
        (TV, [LINE, service("cloud", "ROUTER-TV")], set()),
        (PACK, [LINE, TV], set()),
        (service("tv", "ROUTER-TV"), [], {BOX}),
        # Of a service the catalogue has never had nobody knows what it needs.
        (TV, [LINE, UNHEARD_OF], set()),
        (UNHEARD_OF, [], set()),
    ],
)
def test_what_a_service_leaves_unneeded(was, running, owed):
    assert rules.no_longer_needed(was, running, NEEDS) == owed


@pytest.mark.parametrize(
    ("becomes", "cause"),
    [
        (None, DueCause.REMOVAL),
        (service("broadband", price=9900, speed=100), DueCause.DOWNGRADE),
        (service("broadband", price=5900, speed=300), DueCause.DOWNGRADE),
        (service("broadband", price=9900, speed=1000), DueCause.SPEED_CHANGE),
        (service("broadband", price=12_900, speed=None), DueCause.DOWNGRADE),
    ],
)
def test_why_it_is_due(becomes, cause):
    assert rules.cause_of(LINE, becomes) is cause


ME, OTHER = uuid4(), uuid4()
TODAY, LATER = date(2026, 3, 2), date(2026, 3, 4)


@pytest.mark.parametrize(
    "order",
    [
        Fetching(State.UNPLACED, None, None, False, None),
        Fetching(State.ASSIGNED, OTHER, LATER, False, None),
        Fetching(State.ASSIGNED, ME, LATER, False, None),
        # Whoever took it before has given it back.
        Fetching(State.ASSIGNED, OTHER, LATER, False, ME),
        Fetching(State.UNPLACED, None, None, False, OTHER),
    ],
)
def test_what_may_be_taken_on_the_way(order):
    assert rules.may_take(order, ME, TODAY)


@pytest.mark.parametrize("state", [State.ASSIGNED, State.ACKNOWLEDGED, State.ON_SITE])
def test_what_one_has_already_is_had(state):
    assert not rules.may_take(Fetching(state, ME, TODAY, False, ME), ME, TODAY)


@pytest.mark.parametrize(
    "order",
    [
        Fetching(State.ASSIGNED, OTHER, LATER, False, OTHER),
        Fetching(State.ASSIGNED, OTHER, TODAY, False, None),
        Fetching(State.ACKNOWLEDGED, OTHER, LATER, False, None),
        Fetching(State.ON_SITE, OTHER, TODAY, False, None),
        Fetching(State.ASSIGNED, OTHER, LATER, True, None),
        Fetching(State.COMPLETED, ME, TODAY, False, ME),
        Fetching(State.CANCELLED, None, None, False, None),
    ],
)
def test_what_somebody_else_fetches_is_refused(order):
    with pytest.raises(RecoveryTaken) as refused:
        rules.may_take(order, ME, TODAY)
    assert refused.value.facts["state"] == order.state


def test_a_rate_of_nothing_is_unknown():
    assert (rules.rate(0, 0), rules.rate(1, 3), rules.rate(2, 2)) == (None, 0.3333, 1.0)


def test_the_summary_counts_by_kind():
    assert rules.summary([BOX, GATEWAY, BOX]) == "上门回收终端：光猫×1、机顶盒×2"
