"""A night's learning: the answers of a season become a new candidate, once a night."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import in_force
from app.core import nights
from app.core.geo import Floats
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.policies.queries import log, registry
from app.policies.queries.log import Answers, Told
from app.policies.rules import parameters as numbers
from app.policies.rules.choosing import believed, chance
from app.policies.rules.fitting import Belief, alike, enough, learned_together
from app.policies.rules.measures import auc, bins_for, calibration, calibration_error, lift
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import FEATURES, Model, ModelKind, OfferModel, PolicyState
from app.workorders.queries import org_units

WORK = "policies.learn"
# The model that has seen nothing and believes the experts: with it the trying begins.
EXPERTS = "experts"


@dataclass(frozen=True)
class Learned:
    """The candidate that a night brought, and how many answers it was learned from."""

    until: datetime
    model: PolicyModel
    answers: int


async def cut(session: AsyncSession, now: datetime) -> datetime:
    """Tell the end of the last night (UTC): what came before it is learned from."""
    values = await parameters_in_force(session)
    return nights.last_cut(now, await top_zone(session), values.whole(numbers.LEARN_HOUR, now))


async def due(session: AsyncSession, now: datetime) -> datetime | None:
    """Tell the end of the night that is to be learned from; None when it is done.

    Nights that were missed are not caught up: a candidate of an older night serves nobody.
    """
    until = await cut(session, now)
    done = await nights.done_until(session, WORK)
    return None if done is not None and done >= until else until


async def top_zone(session: AsyncSession) -> ZoneInfo:
    """Return the time zone of the top of the organisation, by which nights are told."""
    units = await org_units(session)
    top = min(units.by_id.values(), key=lambda unit: len(unit.path), default=None)
    return top.zone if top else ZoneInfo("Asia/Shanghai")


async def learn(tx: AsyncSession, now: datetime, told: Told = lambda _rows: None) -> Learned | None:
    """Learn from the answers up to the last night; None when that is done, or somebody is at it.

    What the newest days answered tests a model that has not seen them, and is then learned from
    too. `told` hears how many answers were read.
    """
    if not await nights.alone(tx, WORK):
        return None
    until = await due(tx, now)
    if until is None:
        return None
    values = await parameters_in_force(tx)
    since = until - timedelta(days=values.whole(numbers.WINDOW_DAYS, now))
    heard = await log.answers(tx, since, until, FEATURES, told)
    sold = await sold_or_answered(tx, heard, until)
    least = values.whole(numbers.LEAST_ANSWERS, now)
    tested_from = until - timedelta(days=values.whole(numbers.TESTED_DAYS, now))
    version = await _version(tx, until)
    model = fit(version, heard, sold, least)
    row = PolicyModel(
        version=version,
        kind=ModelKind.ACCEPTANCE,
        state=PolicyState.CANDIDATE,
        document=model.document(),
        trained_from=since,
        trained_until=until,
        rows=len(heard.accepted),
        figures={
            "offers": _counts(heard),
            "learned": sorted(code for code, one in model.offers.items() if one.accepted),
            "tested": tested(heard, sold, least, tested_from),
        },
    )
    tx.add(row)
    await _have_experts(tx)
    await _retire_unused(tx, now, values.whole(numbers.CANDIDATE_DAYS, now))
    facts = {"version": version, "answers": len(heard.accepted)}
    tx.add(Night(work=WORK, until=until, done_at=now, facts=facts))
    await tx.flush()
    return Learned(until, row, len(heard.accepted))


async def sold_or_answered(
    session: AsyncSession, heard: Answers, now: datetime
) -> dict[str, "Sold"]:
    """Return what is sold on the local day of a moment and whatever was answered, by code."""
    today = now.astimezone(await top_zone(session)).date()
    wanted = {*(await in_force(session, today)), *map(str, np.unique(heard.codes))}
    return {
        code: Sold(rate, category)
        for code, (rate, category) in (await registry.offerings(session)).items()
        if code in wanted
    }


@dataclass(frozen=True)
class Sold:
    """What is known of an offering before anybody answered: the expert's rate, and its kind."""

    rate: float
    category: str


def fit(version: str, heard: Answers, sold: Mapping[str, Sold], least: int) -> Model:
    """Fit all offers together to the answers of those that were answered often enough both ways.

    What is asked of others is borrowed by an offer that few or none have answered, as far as its
    kind and the experts are thought to be alike. Where no offer was answered often enough, the
    model knows none, and the experts are believed.
    """
    answers = {}
    codes = sorted(sold)
    for place, code in enumerate(codes):
        of_offer = heard.codes == code
        said = heard.accepted[of_offer]
        if enough(int(said.sum()), int((~said).sum()), least):
            answers[place] = heard.features[of_offer], said
    if not answers:
        return Model(version, {})
    size = len(heard.names)
    priors = [OfferModel.prior(sold[code].rate, size) for code in codes]
    before = [Belief(np.array(one.mean), np.array(one.covariance)) for one in priors]
    together = alike([sold[code].category for code in codes], size)
    offers = {}
    for place, after in enumerate(learned_together(before, together, answers)):
        said = answers[place][1] if place in answers else np.zeros(0, bool)
        offers[codes[place]] = OfferModel(
            rate=priors[place].rate,
            mean=tuple(map(float, after.mean)),
            covariance=tuple(tuple(map(float, row)) for row in after.covariance),
            accepted=int(said.sum()),
            refused=int((~said).sum()),
        )
    return Model(version, offers, heard.names)


def tested(heard: Answers, sold: Mapping[str, Sold], least: int, since: datetime) -> dict[str, Any]:
    """Say how well a model of the answers before a moment foretells those after it.

    Answers are never mixed at random: offers and customers change, and what is to be known of is
    the time to come.
    """
    late = heard.at > since.timestamp()
    model = fit("tested", heard.where(~late), sold, least)
    seen = heard.where(late & np.isin(heard.codes, list(sold)))
    rates = {code: one.rate for code, one in sold.items()}
    return quality(seen.accepted, foretold(model, seen, rates))


def foretold(model: Model, heard: Answers, experts: dict[str, float]) -> Floats:
    """Return a model's chance of each answer having been a yes."""
    codes, action = np.unique(heard.codes, return_inverse=True)
    names = [str(code) for code in codes]
    return chance(believed(model, heard.names, names, action, heard.features, experts))


def quality(accepted: NDArray[np.bool_], predicted: Floats) -> dict[str, Any]:
    """Write how well chances rank and how true they are; a figure is null where nothing tells."""
    bins = bins_for(len(accepted))
    return {
        "answers": len(accepted),
        "accepted": int(accepted.sum()),
        "auc": auc(accepted, predicted),
        "lift": lift(accepted, predicted),
        "calibration_error": calibration_error(accepted, predicted, bins),
        "calibration": [vars(one) for one in calibration(accepted, predicted, bins)],
    }


def _counts(heard: Answers) -> dict[str, list[int]]:
    """Count yes and no by offering."""
    yes = Counter(map(str, heard.codes[heard.accepted]))
    no = Counter(map(str, heard.codes[~heard.accepted]))
    return {code: [yes[code], no[code]] for code in sorted({*yes, *no})}


async def _version(session: AsyncSession, until: datetime) -> str:
    day = until.astimezone(await top_zone(session)).strftime("%Y-%m-%d")
    beginning = f"offers-{day}"
    again = await registry.beginning_with(session, beginning)
    return f"{beginning}.{again + 1}" if again else beginning


async def _have_experts(tx: AsyncSession) -> None:
    """Have the experts' model in the registry, so that somebody can let the trying begin.

    Rules alone always do the same, and a log of them tells nothing of any other policy.
    """
    if not await registry.beginning_with(tx, EXPERTS):
        tx.add(
            PolicyModel(
                version=EXPERTS,
                kind=ModelKind.ACCEPTANCE,
                state=PolicyState.CANDIDATE,
                document=Model.cold(EXPERTS).document(),
                rows=0,
                figures={},
            )
        )


async def _retire_unused(tx: AsyncSession, now: datetime, days: int) -> None:
    for row in await registry.unused(tx, now - timedelta(days=days)):
        row.state, row.retired_at = PolicyState.RETIRED, now
