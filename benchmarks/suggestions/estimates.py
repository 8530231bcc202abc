"""What another policy would have earned, estimated from the log of a play, beside the truth.

The log is read and judged by the code of `app.policies`. The truth is known here: for each decision
of the log, who would have said yes to what. A reward is what a pitch of what was put first earned
by the log's own values, so that estimate and truth count in one currency.
"""

import numpy as np

from app.core.db import open_database
from app.core.settings import Settings
from app.policies.queries import log, registry
from app.policies.queries.log import Decisions
from app.policies.rules.choosing import NOTHING, believed, chance, first_by_draws
from app.policies.rules.parameters import LEAST_ANSWERS
from app.policies.rules.replay import Log, replay
from app.policies.service.learning import fit, sold_or_answered
from app.suggestions.rules.exploring import FLOOR_ALIKE, FLOOR_LATE, SPREAD
from app.suggestions.rules.model import FEATURES, Model, Trying
from benchmarks.suggestions.numbers import Floats
from benchmarks.suggestions.playing import SEASON, Asked, Estimated
from benchmarks.suggestions.truth import CONTACT_COST_FEN

# As policies are judged: as they would choose in the long run.
TRYING = Trying(FLOOR_LATE.default, FLOOR_ALIKE.default, SPREAD.default)
MOST = 1_000_000


async def estimated(database_url: str, asked: list[Asked]) -> list[Estimated]:
    """Estimate two policies from a log: the rules' best, and the model that was learned last."""
    database = open_database(Settings(database_url=database_url, statement_timeout_seconds=300))
    try:
        async with database.begin() as tx:
            read = await log.decisions(tx, *SEASON, FEATURES, MOST)
            experts = await registry.experts(tx)
            heard = await log.answers(tx, *SEASON, FEATURES)
            sold = await sold_or_answered(tx, heard, SEASON[0])
    finally:
        await database.close()
    assert read.reward.shape == (len(asked),), "the log and the field count other decisions"
    rows = Log(read.decision, read.action, read.features, read.logged, read.taken, read.reward)
    ways = {
        "rules' best": _best(read, Model.cold("experts"), experts),
        "learned from this log": _drawn(
            read, fit("all", heard, sold, round(LEAST_ANSWERS.default)), experts
        ),
    }
    return [
        Estimated(name, replay(rows, chosen), _truth(read, asked, chosen))
        for name, chosen in ways.items()
    ]


def _best(read: Decisions, model: Model, experts: dict[str, float]) -> Floats:
    """Put that first which is worth most by a model's mean; nothing when nothing is worth it."""
    likely = chance(_believed(read, model, experts))
    alone = likely * read.worth * np.minimum(read.push, 1)
    pushed = np.where(alone > read.cost, likely * read.worth * read.push, alone)
    score = np.where(read.action == NOTHING, 0.0, pushed - read.cost)
    starts = np.flatnonzero(np.diff(read.decision, prepend=-1))
    best = np.maximum.reduceat(score, starts)[read.decision]
    won = (score == best).astype(float)
    shares: Floats = won / np.add.reduceat(won, starts)[read.decision]
    return shares


def _drawn(read: Decisions, model: Model, experts: dict[str, float]) -> Floats:
    log_odds = _believed(read, model, experts)
    return first_by_draws(
        read.decision, read.action, log_odds, read.worth, read.push, read.cost, TRYING
    )


def _believed(read: Decisions, model: Model, experts: dict[str, float]) -> tuple[Floats, Floats]:
    return believed(model, read.names, read.codes, read.action, read.features, experts)


def _truth(read: Decisions, asked: list[Asked], chosen: Floats) -> float:
    """Add up what the choices are worth by the truth; what is not pitched earns nothing."""
    total = 0.0
    for decision, action, share in zip(read.decision, read.action, chosen, strict=True):
        one = asked[decision]
        if share and action != NOTHING and one.first:
            code = read.codes[action]
            total += share * (one.chances[code] * one.values_fen[code] - CONTACT_COST_FEN)
    return total / len(asked)
