"""Which decisions of the log are replayed, and among what a model may choose there."""

from datetime import timedelta
from math import log as log_of

import pytest

from app.policies.queries import log as queries
from app.policies.rules.choosing import NOTHING, believed, first_by_draws
from app.policies.service import evaluating
from app.suggestions.rules.model import Model, OfferModel, PolicyState, Trying
from tests.conftest import MONDAY_NINE
from tests.make.policies import EXPERT, TRUTH, make_log, make_model

LAST_NIGHT = MONDAY_NINE - timedelta(hours=6)
SINCE = MONDAY_NINE - timedelta(days=10)
HOUR = timedelta(hours=1)
NAMES = ("contract_soon",)


@pytest.fixture
async def log(tx):
    return await make_log(tx, now=MONDAY_NINE)


AT_THE_DOOR, AHEAD, LONG_AHEAD = "at the door", "ahead", "ahead on another day"


@pytest.mark.parametrize(
    ("decided", "counts"),
    [
        # Each is pitched or not; those at the door are of one visit.
        pytest.param([(AT_THE_DOOR, False), (AT_THE_DOOR, False)], [1], id="the last"),
        pytest.param([(AT_THE_DOOR, False), (AT_THE_DOOR, True)], [1], id="the last, pitched"),
        pytest.param([(AT_THE_DOOR, True), (AT_THE_DOOR, False)], [0], id="the one pitched"),
        pytest.param([(AT_THE_DOOR, False), (AT_THE_DOOR, None)], [0], id="nothing was left"),
        pytest.param([(AHEAD, False), (AT_THE_DOOR, False)], [1], id="asked again at the door"),
        pytest.param([(AHEAD, True), (AT_THE_DOOR, False)], [0], id="pitched from what was ahead"),
        pytest.param([(AHEAD, False), (AHEAD, False)], [1], id="taken ahead twice"),
        pytest.param([(AHEAD, False)], [0], id="never asked again"),
        pytest.param([(LONG_AHEAD, False), (AT_THE_DOOR, False)], [0, 1], id="on another day"),
    ],
)
async def test_of_a_visit_the_decision_that_was_not_replaced_is_replayed(tx, log, decided, counts):
    visit = None
    for place, (where, pitched) in enumerate(decided):
        at = LAST_NIGHT - (len(decided) - place) * HOUR - timedelta(days=2 * (where == LONG_AHEAD))
        found = await log.decide(
            1,
            at,
            version=str(place),
            over=timedelta(0),
            pitch=float(bool(pitched)),
            held=frozenset(TRUTH) if pitched is None else frozenset(),
            visit_of=visit,
            ahead=where != AT_THE_DOOR,
        )
        visit = found[0] if where == AT_THE_DOOR else None
    read = await queries.decisions(tx, SINCE, MONDAY_NINE, NAMES, 1000)
    assert [int(version) for version in read.versions] == counts


async def test_each_visit_has_a_decision_of_its_own(tx, log):
    for hours in (3, 2):
        await log.decide(1, LAST_NIGHT - hours * HOUR, over=timedelta(0), pitch=0.0)
    assert len((await queries.decisions(tx, SINCE, MONDAY_NINE, NAMES, 1000)).versions) == 2


async def test_a_model_cannot_choose_what_was_held_back(tx, log):
    await make_model(tx, "before", TRUTH, state=PolicyState.LIVE)
    await log.decide(40, LAST_NIGHT, held=frozenset({"POOR"}))
    # It thinks the world of the offer that was never allowed.
    eager = await make_model(tx, "eager", {"GOOD": 0.01, "POOR": 0.99})
    found = await queries.decisions(tx, SINCE, MONDAY_NINE, NAMES, 1000)
    assert found.codes == ("GOOD",)
    judged = await evaluating.judge(tx, eager, SINCE, MONDAY_NINE, MONDAY_NINE)
    assert judged["decisions"] == 40
    # It has decided for nobody, so that there is nothing of its own to count.
    assert (judged["pitched"], judged["violations"]) == (0, 0)


async def test_no_campaign_has_a_model_choose_in_the_log_what_it_thinks_worth_no_contact(tx, log):
    """It thinks that 2 % take each: 200 fen less 300 for the contact, or 400 by a campaign."""
    await log.decide(40, LAST_NIGHT, lever=2.0)
    read = await queries.decisions(tx, SINCE, MONDAY_NINE, NAMES, 1000)
    offers = read.action != NOTHING
    assert set(zip(read.worth[offers], read.push[offers], read.cost[offers], strict=True)) == {
        (10_000, 2.0, 300)
    }
    assert set(read.push[~offers]) == {1.0}
    gloomy = Model(
        "gloomy",
        {
            code: OfferModel(0.02, (log_of(0.02 / 0.98), 0.0), ((0.0, 0.0), (0.0, 0.0)))
            for code in TRUTH
        },
        NAMES,
    )
    experts = dict.fromkeys(TRUTH, EXPERT)
    odds = believed(gloomy, NAMES, read.codes, read.action, read.features, experts)
    chosen = first_by_draws(
        read.decision, read.action, odds, read.worth, read.push, read.cost, Trying(0.1)
    )
    assert set(chosen[offers].round(9)) == {0.05}


async def test_what_a_model_pitched_is_counted_beside_what_was_against_a_guard(tx, log):
    played = await make_model(tx, "before", TRUTH, state=PolicyState.LIVE)
    await log.decide(4, LAST_NIGHT)
    judged = await evaluating.judge(tx, played, SINCE, MONDAY_NINE, MONDAY_NINE)
    assert (judged["pitched"], judged["violations"]) == (4, 0)
