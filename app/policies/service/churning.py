"""Fitting a churn card to who left, and letting it take the place of the one in force."""

from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import nights
from app.core.geo import Floats
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.lifecycle.queries import cards, learning
from app.lifecycle.rules import FIELDS, Card, CardSource, Term
from app.lifecycle.service.cards import add
from app.policies.queries import registry
from app.policies.rules import churn
from app.policies.rules import parameters as numbers
from app.policies.rules.churn import Trial
from app.policies.rules.fitting import sigmoid
from app.policies.rules.measures import bins_for, calibration_error, lift
from app.policies.service.learning import top_zone
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import ModelKind, PolicyState

WORK = "policies.churn"
# What was known of customers is kept by the month, so oftener there is nothing new to learn.
EVERY = timedelta(days=7)
# Customers and offers of longer ago are not those of today.
SEASONS_DAYS = 730


async def due(session: AsyncSession, until: datetime) -> bool:
    """Tell whether a week has gone by, up to a night's end (UTC), since a card was last fitted."""
    done = await nights.done_until(session, WORK)
    return done is None or until - done >= EVERY


async def refit(tx: AsyncSession, until: datetime, now: datetime) -> PolicyModel | None:
    """Fit a card to customers of whom it is known whether they left within 90 days, once a week.

    It is in force from the next local day on when it ranks the latest of them better than the card
    in force by what the operator asks for, and is as well calibrated as every model has to be; else
    it is kept as a candidate, for people to look at. None where too few are known, it was done
    this week, or somebody is at it.
    """
    if not await nights.alone(tx, WORK):
        return None
    if not await due(tx, until):
        return None
    today = now.astimezone(await top_zone(tx)).date()
    values = await parameters_in_force(tx)
    latest = learning.latest_labelled(today)
    rows = await learning.labelled(tx, latest - timedelta(days=SEASONS_DAYS), latest)
    tx.add(Night(work=WORK, until=until, done_at=now, facts={"customers": len(rows)}))
    if len(rows) < values.whole(numbers.CHURN_LEAST, now):
        await tx.flush()
        return None
    known = [[row.fields[name] for row in rows] for name in FIELDS]
    columns = {
        name: np.array(column, np.float64) for name, column in zip(FIELDS, known, strict=True)
    }
    left = np.array([row.left for row in rows], bool)
    before = await cards.in_force(tx, today)
    by_card = scored(before.card, columns) if before else np.zeros(len(rows))
    day = np.array([row.day.toordinal() for row in rows], np.int64)
    trial = churn.tried(columns, left, by_card, day, learning.HORIZON_DAYS)
    card = card_of(churn.fitted(columns, left))
    made = PolicyModel(
        version=f"churn-{today}",
        kind=ModelKind.CHURN,
        state=PolicyState.CANDIDATE,
        document=card.document(),
        trained_from=_begin(rows[0].day, now),
        trained_until=_begin(rows[-1].day, now),
        rows=len(rows),
        figures=_figures(trial, before.version if before else None, card, columns, left),
    )
    tx.add(made)
    await tx.flush()
    if trial.better(
        values.whole(numbers.CHURN_LEAST, now),
        values.number(numbers.CHURN_GAIN, now),
        values.number(numbers.CALIBRATION_MOST, now),
    ):
        await _take_up(tx, made, card, today, now)
    return made


def card_of(fitted: churn.Fitted) -> Card:
    """Write a fitted card as people write theirs: each range with its reason in words."""
    return Card(
        intercept=fitted.intercept,
        scale=1.0,
        terms=tuple(
            Term(
                field=term.field,
                from_=term.start,
                to=term.end,
                points=term.weight,
                reason_zh=FIELDS[term.field].zh + _range(term, "{}以下", "{}及以上", "{}至{}"),
                reason_en=f"{FIELDS[term.field].en} "
                + _range(term, "below {}", "{} or more", "from {} to below {}"),
            )
            for term in fitted.terms
        ),
    )


def _range(term: churn.Term, below: str, above: str, between: str) -> str:
    if term.start is None:
        return below.format(f"{term.end:g}")
    if term.end is None:
        return above.format(f"{term.start:g}")
    return between.format(f"{term.start:g}", f"{term.end:g}")


def scored(card: Card, columns: dict[str, Floats]) -> Floats:
    """Return what a card says of each customer; NaN is not known."""
    total = np.full(len(next(iter(columns.values()))), card.intercept)
    for term in card.terms:
        values = columns[term.field]
        if term.of_missing:
            holds = np.isnan(values)
        else:
            above = values >= (-np.inf if term.from_ is None else term.from_)
            holds = above & (values < (np.inf if term.to is None else term.to))
        total += term.points * holds
    return sigmoid(total / card.scale)


async def _take_up(
    tx: AsyncSession, made: PolicyModel, card: Card, today: date, now: datetime
) -> None:
    before = await registry.live(tx, ModelKind.CHURN)
    if before is not None:
        before.state, before.retired_at = PolicyState.RETIRED, now
        await tx.flush()
    made.state, made.promoted_at = PolicyState.LIVE, now
    await add(
        tx,
        made.version,
        card,
        valid_from=today + timedelta(days=1),
        source=CardSource.FITTED,
        figures=made.figures,
    )
    await tx.flush()


def _figures(
    trial: Trial, before: str | None, card: Card, columns: dict[str, Floats], left: Any
) -> dict[str, Any]:
    predicted = scored(card, columns)
    return {
        "instead_of": before,
        "tested": {
            "customers": trial.tested,
            "learned_from": trial.learned,
            "auc": trial.auc_fitted,
            "auc_before": trial.auc_card,
            "lift": trial.lift_fitted,
            "calibration_error": trial.error_fitted,
        },
        "learned": {
            "left": int(left.sum()),
            "lift": lift(left, predicted),
            "calibration_error": calibration_error(left, predicted, bins_for(len(left))),
        },
    }


def _begin(day: date, now: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=now.tzinfo)
