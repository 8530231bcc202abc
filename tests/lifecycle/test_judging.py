"""Where a town's customers stand by the statement, held against the plain rules."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.catalog.rules import BusinessType
from app.core.db import new_id
from app.customers.models import Customer
from app.lifecycle import queries
from app.lifecycle.models import ChurnSample, CustomerLifecycle, LifecycleChange, LifecycleCut
from app.lifecycle.queries.cuts import cut_anew
from app.lifecycle.queries.facts import units
from app.lifecycle.rules import DEFAULTS, Before, Cuts, Reason, reasons_of, stands
from app.lifecycle.service import judging
from tests.conftest import MONDAY_NINE
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.standing import make_card, make_town

DAY = MONDAY_NINE.date()
ROW = [
    "stage",
    "stage_since",
    "stage_rule",
    "tier",
    "tier_before",
    "tier_since",
    "tier_forecast",
    "hidden_high_value",
    "value_12m_fen",
    "churn_class",
    "signals",
    "last_signal_on",
]


async def cut(tx, now):
    await cut_anew(tx, await units(tx, now), now)


async def standing(tx):
    rows = await tx.scalars(select(CustomerLifecycle).execution_options(populate_existing=True))
    return {row.customer_id: row for row in rows}


@pytest.fixture
async def town(tx):
    unit = await make_org_unit(tx)
    await make_card(tx)
    for code in ("CAM-HOME", "FTTR-2"):
        await make_offering(tx, code=code, business_type=BusinessType.INCENTIVE)
    ids = await make_town(tx, unit, DAY, MONDAY_NINE, count=150, seed=5)
    await cut(tx, MONDAY_NINE)
    return ids


async def compare(tx, ids, now, before):
    """Hold what the statement wrote against what the rules say of the same facts."""
    row = (await tx.scalars(select(LifecycleCut))).one()
    cuts = Cuts(*(getattr(row, name) for name in Cuts._fields))
    card = await queries.in_force(tx, now.date())
    assert card is not None
    known = await queries.facts_of(tx, ids, now)
    written = await standing(tx)
    assert len(known) == len(written) == len(ids)
    for each in ids:
        told = stands(known[each], before.get(each), cuts, DEFAULTS, card.card)
        row = written[each]
        expected = told._asdict() | {"signals": list(told.signals)}
        assert {name: getattr(row, name) for name in ROW} == {
            name: expected[name] for name in ROW
        }, known[each]
        assert (row.churn_score is None) == (told.churn_score is None)
        assert row.churn_score == pytest.approx(told.churn_score)
    return known, written, card


async def test_the_statement_says_what_the_rules_say(tx, town):
    told = await judging.judge_some(tx, town, MONDAY_NINE)
    assert told == (150, 150, 0, 0)
    known, written, card = await compare(tx, town, MONDAY_NINE, {})
    # The town has something of everything, or it would show little.
    assert len({row.stage for row in written.values()}) == 5
    assert {row.tier for row in written.values()} == {"A", "B", "C", "D", None}
    assert {row.churn_class for row in written.values()} == {"low", "mid", "high", None}
    assert any(row.hidden_high_value for row in written.values())
    for each, row in written.items():
        reasons = [Reason(**reason) for reason in row.churn_reasons]
        scored = row.churn_score is not None
        expected = reasons_of(card.card, known[each]._asdict()) if scored else []
        assert reasons == list(expected)


async def test_later_days_go_on_from_where_customers_stood(tx, town):
    await judging.judge_some(tx, town, MONDAY_NINE)
    for days in (40, 75):
        now = MONDAY_NINE + timedelta(days=days)
        before = {
            each: Before(*(getattr(row, name) for name in Before._fields))
            for each, row in (await standing(tx)).items()
        }
        await cut(tx, now)
        told = await judging.judge_some(tx, town, now)
        assert told.changes
        await compare(tx, town, now, before)
    changes = (await tx.scalars(select(LifecycleChange))).all()
    assert all(change.before != change.after and change.rule for change in changes)
    assert {change.kind for change in changes} >= {"stage", "tier", "churn_class"}
    assert any(change.warns for change in changes)
    left = [change for change in changes if change.after == "exit"]
    assert all(not change.warns and change.inputs["day"] for change in left)


async def test_what_is_known_no_more_is_a_change_too(tx, town):
    """Whoever leaves has no class of risk any more, and whoever is back has one again."""
    await judging.judge_some(tx, town, MONDAY_NINE)
    # Whoever is at the edge of their class may be in another two days later.
    one = max((await standing(tx)).values(), key=lambda row: row.churn_score or 0)
    assert one.churn_class == "high"
    each = one.customer_id
    customer = await tx.get_one(Customer, each)
    for days, disconnected_on in ((1, DAY), (2, None)):
        customer.disconnected_on = disconnected_on
        await tx.flush()
        await judging.judge_some(tx, [each], MONDAY_NINE + timedelta(days=days))
    changes = await tx.scalars(
        select(LifecycleChange)
        .where(LifecycleChange.customer_id == each, LifecycleChange.kind == "churn_class")
        .order_by(LifecycleChange.at)
    )
    assert [(change.before, change.after, change.warns) for change in changes] == [
        ("high", None, False),
        (None, "high", True),
    ]


async def test_a_second_look_of_a_day_changes_nothing(tx, town):
    await judging.judge_some(tx, town, MONDAY_NINE)
    first = {each: row.computed_at for each, row in (await standing(tx)).items()}
    later = MONDAY_NINE + timedelta(hours=3)
    await cut(tx, later)
    assert await judging.judge_some(tx, town, later) == (150, 0, 0, 0)
    assert {each: row.computed_at for each, row in (await standing(tx)).items()} == first


async def test_slices_say_the_same_as_looks_at_some(tx, town):
    by = await judging.basis(tx, MONDAY_NINE, new_id())
    edge = sorted(town)[75]
    for after, upto in ((UUID(int=0), edge), (edge, UUID(int=2**128 - 1))):
        assert (await judging.judge_slice(tx, by, after, upto)).written
    assert (await judging.judge_some(tx, town, MONDAY_NINE)).written == 0


async def test_slices_keep_samples_of_some_of_those_who_may_leave(tx, town):
    by = await judging.basis(tx, MONDAY_NINE, new_id())

    async def kept(percent):
        units = [
            unit._replace(numbers=unit.numbers._replace(sample_percent=percent))
            for unit in by.units
        ]
        await judging.judge_slice(tx, by._replace(units=units), UUID(int=0), UUID(int=2**128 - 1))
        return set(await tx.scalars(select(ChurnSample.customer_id)))

    # Who is kept says the id, so that it is the same customers every month.
    none, half, every = await kept(0), await kept(50), await kept(100)
    assert none == set() < half < every < set(town)
    known = await queries.facts_of(tx, town, MONDAY_NINE)
    scored = {each for each, row in (await standing(tx)).items() if row.churn_score is not None}
    assert every == {each for each in scored if known[each].services}
