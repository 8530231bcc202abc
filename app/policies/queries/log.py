"""The log of suggestions as arrays: what was answered, and what was decided with which chance.

Rows come in the order of time and in pieces, so that a season of them never lies in memory twice.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection
from app.core.geo import Floats
from app.policies.rules.choosing import NOTHING
from app.policies.rules.replay import Ints
from app.suggestions.queries import CAME_BACK, LAST_WORD

Told = Callable[[int], None]

_PIECE = 5_000

# Whether an acceptance came to nothing, of rows named `answer` and `suggestion`: a guard that had
# become true meanwhile held it back, it was not kept, or nothing is left of what was sold on it.
TAKEN_BACK = f"""answer.answer = 'accepted' AND (
            answer.held_back IS NOT NULL
            OR EXISTS (
                SELECT FROM suggestion_outcome AS outcome
                WHERE outcome.suggestion_id = suggestion.id AND NOT outcome.kept_30
            )
            OR EXISTS (
                SELECT FROM sale_item JOIN sale ON sale.id = sale_item.sale_id
                WHERE sale_item.suggestion_id = suggestion.id AND {CAME_BACK}
            ) AND NOT EXISTS (
                SELECT FROM sale_item JOIN sale ON sale.id = sale_item.sale_id
                WHERE sale_item.suggestion_id = suggestion.id AND NOT {CAME_BACK}
            )
        )"""  # noqa: S608 - text of our own

# What was said last to each suggestion that was pitched. Whoever wants no offers of their own is
# not learned from either. What was said to somebody who could not decide counts: nobody knows
# beforehand who will open the door.
_ANSWERS = """
SELECT suggestion.offering_code, suggestion.features, suggestion.p_accept,
    said.answer = 'accepted', said.at, decision.model_version
FROM (
    SELECT DISTINCT ON (suggestion_id) suggestion_id, answer, at
    FROM suggestion_answer
    WHERE at > %(since)s AND at <= %(until)s AND answer IS NOT NULL
    ORDER BY suggestion_id, at DESC, created_at DESC, id DESC
) AS said
JOIN suggestion ON suggestion.id = said.suggestion_id
JOIN suggestion_decision AS decision ON decision.id = suggestion.decision_id
WHERE said.answer IN ('accepted', 'declined', 'later') AND decision.mode = 'personal'
ORDER BY said.at, said.suggestion_id
"""


@dataclass(frozen=True)
class Answers:
    """What customers answered to what was pitched, in the order of time.

    `codes` are offerings, `features` has a column for each of `names`, `predicted` is what was said
    of each beforehand (NaN: nothing), `at` are seconds since 1970 UTC.
    """

    names: tuple[str, ...]
    codes: NDArray[np.str_]
    features: Floats
    predicted: Floats
    accepted: NDArray[np.bool_]
    at: Floats
    versions: NDArray[np.str_]

    def where(self, which: NDArray[np.bool_]) -> "Answers":
        """Return those rows that are marked."""
        columns = {name: column[which] for name, column in vars(self).items() if name != "names"}
        return Answers(self.names, **columns)


async def answers(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    names: tuple[str, ...],
    told: Told = lambda _rows: None,
) -> Answers:
    """Read what was answered after `since` and until `until` (UTC)."""
    place = {name: column for column, name in enumerate(names)}
    columns: list[list[Any]] = [[], [], [], [], []]
    vectors: list[Floats] = []
    given = {"since": since, "until": until}
    async for piece in _pieces(session, _ANSWERS, given):
        vectors.append(_vectors([row[1] for row in piece], place))
        for column, values in zip(columns, (0, 2, 3, 4, 5), strict=True):
            column.extend(row[values] for row in piece)
        told(len(piece))
    codes, predicted, accepted, at, versions = columns
    return Answers(
        names=names,
        codes=np.array(codes, dtype=np.str_),
        features=np.vstack([np.zeros((0, len(names))), *vectors]),
        predicted=np.array(predicted, np.float64),
        accepted=np.array(accepted, bool),
        at=np.array([one.timestamp() for one in at], np.float64),
        versions=np.array([one or "" for one in versions], dtype=np.str_),
    )


# Of each visit one decision counts: whoever counted all would draw fewer than there may be.
_COUNT = """
SELECT count(DISTINCT coalesce(visit_id, id)) FROM suggestion_decision
WHERE at > %(since)s AND at <= %(until)s AND mode = 'personal' AND "group" <> 'holdout'
AND (model_version IS NOT NULL OR "group" = 'uniform')
"""

# Whether a decision counts as that of its visit, of a row named `decision`. Each new fact makes
# another decision, so a visit may have several, and some ahead of it; the one from which something
# was pitched counts, or else the last that had anything to choose from. The others were replaced
# before they could bring anything, whatever they chose.
_COUNTS = """
    EXISTS (
        SELECT FROM suggestion JOIN suggestion_answer AS answer
            ON answer.suggestion_id = suggestion.id AND answer.pitched
        WHERE suggestion.decision_id = decision.id
    ) OR NOT EXISTS (
        SELECT FROM (
            SELECT same.id, same.id > decision.id AS replaces FROM suggestion_decision AS same
            WHERE same.visit_id = decision.visit_id AND same.id <> decision.id
            UNION ALL
            SELECT ahead.id, ahead.id > decision.id AND decision.visit_id IS NULL
            FROM suggestion_decision AS ahead
            WHERE ahead.visit_id IS NULL AND ahead.work_order_id = decision.work_order_id
            AND ahead.id <> decision.id
            AND ahead.at BETWEEN decision.at - interval '1 day' AND decision.at + interval '1 day'
            UNION ALL
            SELECT there.id, there.id > decision.id
            FROM visit JOIN suggestion_decision AS there ON there.visit_id = visit.id
            WHERE decision.visit_id IS NULL AND visit.work_order_id = decision.work_order_id
            AND there.at BETWEEN decision.at AND decision.at + interval '1 day'
        ) AS other
        JOIN suggestion ON suggestion.decision_id = other.id
        WHERE other.replaces AND suggestion.propensity IS NOT NULL
        OR EXISTS (
            SELECT FROM suggestion_answer AS answer
            WHERE answer.suggestion_id = suggestion.id AND answer.pitched
        )
    )
"""

# Decisions that could have been otherwise, newest answer to what was put first included; what a
# guard held back that had become true meanwhile brought nothing. Whoever
# is offered nothing for the sake of the comparison is left out, and so is what rules alone decided,
# which always do the same; but not what was drawn alike while they did.
_DECISIONS = f"""
SELECT decision.id, suggestion.offering_code, suggestion.features, suggestion.propensity,
    suggestion.rank, suggestion.p_accept, suggestion.value_fen,
    suggestion.context, suggestion.lever, suggestion.score_fen,
    said.pitched, said.accepted, said.cancelled, decision.model_version,
    decision.facts ->> 'tier', decision.facts ->> 'stage', customer.segment, customer.elderly
FROM (
    SELECT id, customer_id, model_version, facts FROM suggestion_decision AS decision
    WHERE at > %(since)s AND at <= %(until)s AND mode = 'personal' AND "group" <> 'holdout'
    AND (model_version IS NOT NULL OR "group" = 'uniform')
    AND (hashtextextended(id::text, 0) & 1073741823) %% %(each)s = 0
    AND ({_COUNTS})
    ORDER BY id
) AS decision
JOIN customer ON customer.id = decision.customer_id
JOIN suggestion ON suggestion.decision_id = decision.id AND suggestion.propensity IS NOT NULL
LEFT JOIN LATERAL (
    SELECT answer.pitched, coalesce(answer.answer = 'accepted', false) AS accepted,
        {TAKEN_BACK} AS cancelled
    FROM suggestion_answer AS answer
    WHERE answer.suggestion_id = suggestion.id
    ORDER BY {LAST_WORD.format("answer")} LIMIT 1
) AS said ON suggestion.rank = 1
ORDER BY decision.id, suggestion.id
"""  # noqa: S608 - text of our own


@dataclass(frozen=True)
class Decisions:
    """Decisions as arrays: a row a candidate that passed the gates, and one that offers nothing.

    Rows of a decision stand together, and `features` has a column for each of `names`. `worth` is
    what an acceptance brings times the context and `cost` what a contact costs, in fen; `push` is
    how many times its worth campaigns make of it; the rest of a decision has one value each.
    """

    names: tuple[str, ...]
    decision: Ints
    action: Ints
    codes: tuple[str, ...]
    features: Floats
    logged: Floats
    taken: NDArray[np.bool_]
    worth: Floats
    push: Floats
    cost: Floats
    # One value a decision.
    reward: Floats
    pitched: NDArray[np.bool_]
    accepted: NDArray[np.bool_]
    cancelled: NDArray[np.bool_]
    groups: Mapping[str, NDArray[np.str_]]
    versions: NDArray[np.str_]


async def decisions(
    session: AsyncSession,
    since: datetime,
    until: datetime,
    names: tuple[str, ...],
    most: int,
    told: Told = lambda _rows: None,
) -> Decisions:
    """Read the decisions of a time (UTC), of too many every so many-th by its id.

    Of each visit it is the one that counts, and only what its gates let through.
    """
    given: dict[str, Any] = {"since": since, "until": until}
    driver = await driver_connection(session)
    counted = await (await driver.execute(_COUNT, given)).fetchone()
    given["each"] = max(1, -(-(counted[0] if counted else 0) // most))
    reading = _Reading({name: column for column, name in enumerate(names)})
    async for piece in _pieces(session, _DECISIONS, given):
        reading.take(piece)
        told(len(piece))
    return reading.read()


class _Reading:
    """Puts rows of candidates together as decisions, each ended by the row that offers nothing."""

    def __init__(self, place: Mapping[str, int]) -> None:
        self.place = place
        self.codes: dict[str, int] = {}
        self.vectors: list[Floats] = []
        self.rows: list[tuple[int, int, float, bool, float, float, float]] = []
        self.about: list[tuple[float, bool, bool, bool, str, str, str, str, str]] = []
        self.open: Any = None
        self.left = 1.0
        self.first = False

    def take(self, piece: list[tuple[Any, ...]]) -> None:
        vectors = _vectors([row[2] for row in piece], self.place)
        for row, vector in zip(piece, vectors, strict=True):
            if row[0] != self.open:
                self._end()
                self._begin(row)
            self._candidate(row, vector)

    def _begin(self, row: tuple[Any, ...]) -> None:
        self.open, self.left, self.first = row[0], 1.0, False
        tier, stage, segment, elderly = row[14:18]
        words = (row[13] or "", tier or "", stage or "", segment, "yes" if elderly else "no")
        self.about.append((0.0, False, False, False, *words))

    def _candidate(self, row: tuple[Any, ...], vector: Floats) -> None:
        _, code, _, propensity, rank, p_accept, value, context, lever, score, *said = row
        action = self.codes.setdefault(code, len(self.codes))
        worth = (value or 0) * (context if context is not None else 1.0)
        push = lever if lever is not None else 1.0
        cost = max((p_accept or 0.0) * worth * push - score, 0.0)
        self.rows.append((len(self.about) - 1, action, propensity, rank == 1, worth, push, cost))
        self.vectors.append(vector)
        self.left -= propensity
        if rank == 1:
            self.first = True
            pitched, accepted, cancelled = map(bool, said[:3])
            self._answered(pitched, accepted, cancelled, value or 0, cost)

    def _answered(
        self, pitched: bool, accepted: bool, cancelled: bool, value: int, cost: float
    ) -> None:
        reward = (value if accepted and not cancelled else 0.0) - (cost if pitched else 0.0)
        self.about[-1] = (reward, pitched, accepted, cancelled, *self.about[-1][4:])

    def _end(self) -> None:
        if self.open is None:
            return
        left = max(self.left, 0.0)
        self.rows.append((len(self.about) - 1, NOTHING, left, not self.first, 0.0, 1.0, 0.0))
        self.vectors.append(np.zeros(len(self.place)))

    def read(self) -> Decisions:
        self._end()
        rows = list(zip(*self.rows, strict=True)) or [()] * 7
        about = list(zip(*self.about, strict=True)) or [()] * 9
        return Decisions(
            names=tuple(self.place),
            decision=np.array(rows[0], np.int64),
            action=np.array(rows[1], np.int64),
            codes=tuple(self.codes),
            features=np.array(self.vectors).reshape(-1, len(self.place)),
            logged=np.array(rows[2], np.float64),
            taken=np.array(rows[3], bool),
            worth=np.array(rows[4], np.float64),
            push=np.array(rows[5], np.float64),
            cost=np.array(rows[6], np.float64),
            reward=np.array(about[0], np.float64),
            pitched=np.array(about[1], bool),
            accepted=np.array(about[2], bool),
            cancelled=np.array(about[3], bool),
            versions=np.array(about[4], dtype=np.str_),
            groups={
                name: np.array(values, dtype=np.str_)
                for name, values in zip(
                    ("tier", "stage", "segment", "elderly"), about[5:], strict=True
                )
            },
        )


def _vectors(told: list[dict[str, float] | None], place: Mapping[str, int]) -> Floats:
    """Write what a model was told of each row as a row of an array; what is not named is zero."""
    found = np.zeros((len(told), len(place)))
    for row, features in zip(found, told, strict=True):
        for name, value in (features or {}).items():
            if name in place:
                row[place[name]] = value
    return found


async def _pieces(
    session: AsyncSession, statement: str, given: Mapping[str, Any]
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """Read a statement's rows in pieces, by a cursor that stays in the database."""
    driver = await driver_connection(session)
    async with driver.cursor(name="policies_log") as cursor:
        await cursor.execute(statement, given)
        while piece := await cursor.fetchmany(_PIECE):
            yield piece
