"""A churn card fitted to who left takes the place of a worse one, once a week."""

from datetime import date, timedelta

import numpy as np
import pytest
from sqlalchemy import select

from app.core.db import new_id
from app.lifecycle.models import ChurnCard
from app.lifecycle.queries import learning
from app.lifecycle.queries.learning import Labelled
from app.lifecycle.rules import FIELDS, Card, CardSource, Term, score_of
from app.lifecycle.service.cards import add
from app.policies.service.churning import refit, scored
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import ModelKind, PolicyState
from tests.conftest import MONDAY_NINE

NIGHT = MONDAY_NINE - timedelta(hours=6)
LONG_AGO = date(2025, 1, 1)
UNKNOWN = dict.fromkeys(FIELDS)


def known(count):
    """Customers who leave when they are new or have complained; of a third the usage is unknown."""
    chance = np.random.default_rng(2)
    rows = []
    for number in range(count):
        months, complaints = float(chance.integers(1, 72)), float(chance.poisson(0.5))
        usage = None if chance.random() < 0.3 else float(chance.integers(1, 500))
        odds = -1.5 + 2.0 * (months < 12) + 1.2 * (complaints >= 2)
        left = bool(chance.random() < 1 / (1 + np.exp(-odds)))
        fields = {**UNKNOWN, "tenure_months": months, "complaints": complaints, "usage_gb": usage}
        day = LONG_AGO + timedelta(days=360 * number // count)
        rows.append(Labelled(new_id(), new_id(), day, fields, left))
    return rows


def hand(points):
    return Card(-1.0, 1.0, (Term("tenure_months", None, 12.0, points, "新入网", "new"),))


async def put_in_force(tx, card):
    await add(tx, "by-hand", card, valid_from=LONG_AGO, source=CardSource.HAND)


@pytest.fixture
def customers(monkeypatch):
    def give(count):
        rows = known(count)

        async def labelled(session, first, until):
            return rows

        monkeypatch.setattr(learning, "labelled", labelled)
        return rows

    return give


async def test_a_card_that_ranks_better_is_in_force_from_the_next_day(tx, customers):
    rows = customers(9_600)
    await put_in_force(tx, hand(-0.5))
    made = await refit(tx, NIGHT, MONDAY_NINE)
    assert made is not None and made.state is PolicyState.LIVE
    assert made.figures["instead_of"] == "by-hand"
    tested = made.figures["tested"]
    assert tested["auc"] > tested["auc_before"] + 0.005
    assert tested["calibration_error"] <= 0.03
    # Nobody was learned from of whom it was not known yet who left when the test begins.
    assert tested["learned_from"] == 4_347
    card = await tx.scalar(select(ChurnCard).where(ChurnCard.source == CardSource.FITTED))
    assert card is not None and card.valid_from == date(2026, 3, 3)
    # One of them all says what both ways of scoring say, and why in words.
    fitted = Card.of(card.document)
    columns = {
        name: np.array([row.fields[name] for row in rows[:50]], np.float64) for name in FIELDS
    }
    assert scored(fitted, columns) == pytest.approx(
        [score_of(fitted, row.fields) for row in rows[:50]]
    )
    first = next(term for term in fitted.terms if term.field == "tenure_months")
    assert first.reason_zh.startswith("在网月数") and first.reason_en.endswith(
        f"below {first.to:g}"
    )
    # Within a week there is nothing new to learn.
    assert await refit(tx, NIGHT + timedelta(days=3), MONDAY_NINE + timedelta(days=3)) is None
    again = await refit(tx, NIGHT + timedelta(days=8), MONDAY_NINE + timedelta(days=8))
    assert again is not None and again.state is PolicyState.CANDIDATE


async def test_a_card_that_foretells_wrongly_is_not_taken_up(tx, customers):
    """It ranks as well as ever, but of those tested twice as many leave as it says."""
    rows = customers(9_600)
    since = rows[6_720].day
    more = np.random.default_rng(7)
    rows[:] = [
        row._replace(left=row.left or (row.day >= since and more.random() < 0.3)) for row in rows
    ]
    await put_in_force(tx, hand(-2.0))
    made = await refit(tx, NIGHT, MONDAY_NINE)
    assert made is not None and made.state is PolicyState.CANDIDATE
    tested = made.figures["tested"]
    assert tested["auc"] > tested["auc_before"] + 0.005
    assert tested["calibration_error"] > 0.03
    assert await tx.scalar(select(ChurnCard).where(ChurnCard.source == CardSource.FITTED)) is None


async def test_a_card_that_cannot_be_beaten_stays(tx, customers):
    customers(2_400)
    best = Card(
        -1.5,
        1.0,
        (
            Term("tenure_months", None, 12.0, 2.0, "新入网", "new"),
            Term("complaints", 2.0, None, 1.2, "投诉", "complained"),
        ),
    )
    await put_in_force(tx, best)
    made = await refit(tx, NIGHT, MONDAY_NINE)
    assert made is not None and made.state is PolicyState.CANDIDATE
    assert await tx.scalar(select(ChurnCard).where(ChurnCard.source == CardSource.FITTED)) is None


async def test_of_too_few_customers_nothing_is_learned(tx, customers):
    customers(1_999)
    assert await refit(tx, NIGHT, MONDAY_NINE) is None
    kind = PolicyModel.kind == ModelKind.CHURN
    assert await tx.scalar(select(PolicyModel).where(kind)) is None
