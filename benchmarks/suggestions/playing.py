"""A policy played through the real service: `suggest` and `take_down` on a real PostGIS.

The service gets exactly what the room of visits hands it. What is shown goes to the door of the
field, and what was said there goes back; the judge looks at everything that is shown. A day is one
transaction, since no customer is visited twice at one moment and nothing here is lost by a fault.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import psycopg
import uuid_utils
import uuid_utils.compat
from sqlalchemy.ext.asyncio import AsyncSession

import app.tables  # noqa: F401 - foreign keys are named by table, so every table must be known
from app.core.db import new_id, open_database
from app.core.settings import Settings
from app.policies.rules.replay import Replay
from app.suggestions.models import Suggestion
from app.suggestions.queries import changed_winners
from app.suggestions.rules import AnswerKind, DeclineReason, Group
from app.suggestions.service import Decided, Door, Said, release_slot, suggest, take_down
from benchmarks.suggestions import stage
from benchmarks.suggestions.door import Pitch, fitted, pitched, pitches_at
from benchmarks.suggestions.field import FIRST_DAY, ZONE, Event, Field, Visit, local, local_day
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.losses import Losses, Passed
from benchmarks.suggestions.numbers import Floats
from benchmarks.suggestions.oracle import complaint_of
from benchmarks.suggestions.policies import Policy

# From the first day on, and long after the last.
SEASON = (local(FIRST_DAY, 0), local(FIRST_DAY + timedelta(days=400), 0))


@dataclass(frozen=True)
class Asked:
    """The truth about one decision: by offering the chance of a yes, and the value in the log.

    `first` tells whether the technician would pitch what is put first.
    """

    first: bool
    chances: Mapping[str, float]
    values_fen: Mapping[str, int]


@dataclass(frozen=True)
class Estimated:
    """Another policy as a play's log tells of it, and its true worth a decision, in fen."""

    name: str
    replayed: Replay
    truth: float


class Answer(NamedTuple):
    """A pitch and its answer: the offer, the chance that was foretold before, whether it was
    accepted."""

    offer: str
    chance: float
    accepted: bool


@dataclass
class Played:
    """What came of a play: by visit what it was worth in fen, and what was foretold and seen.

    `answers` are in the order of time, and so is `asked`, with one entry a decision in which
    something could be offered; campaigns changed who won in `pushed` of the `winners`.
    """

    values: Floats
    asked: list[Asked] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    broken: Mapping[str, int] = field(default_factory=dict)
    pitches: int = 0
    accepted: int = 0
    complaints: int = 0
    estimates: list[Estimated] = field(default_factory=list)
    losses: Losses = field(default_factory=Losses)
    winners: int = 0
    pushed: int = 0


async def play(
    database_url: str,
    ground: Field,
    policy: Policy,
    best: Floats,
    *,
    done: Callable[[], None] = lambda: None,
) -> Played:
    """Play all visits of a field in a database that `stage.write` has filled.

    `best` is what perfect play makes of each visit.
    """
    database = open_database(Settings(database_url=database_url, statement_timeout_seconds=300))
    played = Played(np.zeros(len(ground.visits)))
    judge = Judge(ground.homes)
    world = _World(ground, judge, played, best)
    try:
        with psycopg.connect(database_url, autocommit=True) as connection, _moments() as clock:
            clock.now = local(FIRST_DAY, 0)
            await policy.begins(database, clock.now)
            for day, of_day in groupby(ground.visits, lambda visit: local_day(visit.at)):
                clock.now = local(day, 3)
                await policy.night(database, clock.now)
                visits = list(of_day)
                world.wakes(connection, day, visits)
                async with database.begin() as tx:
                    for visit in visits:
                        clock.now = visit.at
                        world.until(visit.at)
                        await world.visit(tx, visit)
                        tx.expunge_all()
                        done()
        async with database.read() as session:
            won = await changed_winners(session, stage.PATH, *SEASON)
            played.winners, played.pushed = won["decisions"], won["changed"]
    finally:
        await database.close()
    played.broken = dict(judge.found)
    return played


class _World:
    """What goes on around the visits, and the visits themselves."""

    def __init__(self, ground: Field, judge: Judge, played: Played, best: Floats) -> None:
        self.ground, self.judge, self.played, self.best = ground, judge, played, best
        self._events: dict[date, list[Event]] = defaultdict(list)
        self._closing: dict[date, list[Event]] = defaultdict(list)
        for event in ground.events:
            self._events[local_day(event.at)].append(event)
            if event.kind == "complaint" and event.closed_at is not None:
                self._closing[local_day(event.closed_at)].append(event)
        self._waiting: Iterator[Event] = iter(ground.events)
        self._next: Event | None = next(self._waiting, None)
        self._sold: list[tuple[Visit, Pitch]] = []
        self._angry: list[Event] = []
        self._repairs: dict[int, list[datetime]] = defaultdict(list)

    def wakes(
        self, connection: psycopg.Connection[Any], day: date, visits: Sequence[Visit]
    ) -> None:
        """Write into the database what a new day begins with, and what will happen in it.

        Contacts of the day stand there from the morning on: whoever looks only at their day sees
        the same, and none is counted twice.
        """
        for visit, pitch in self._sold:
            fitted(self.judge, visit.home, pitch.offer, day)
        for complaint in self._angry:
            self.judge.happens(complaint)
            assert complaint.closed_at is not None
            self._closing[local_day(complaint.closed_at)].append(complaint)
        with connection.transaction():
            stage.grow(connection, self.ground.homes, day)
            stage.fit(connection, self._sold, day)
            stage.contacts(connection, [*self._events.pop(day, []), *self._angry])
            stage.close(connection, self._closing.pop(day, []))
            stage.visits(connection, visits)
        self._sold, self._angry = [], []

    def until(self, now: datetime) -> None:
        """Tell the judge what has happened meanwhile."""
        while self._next is not None and self._next.at <= now:
            self.judge.happens(self._next)
            self._next = next(self._waiting, None)

    async def visit(self, tx: AsyncSession, visit: Visit) -> None:
        """Ask the service at a door, play what is made of it, and take the answer down."""
        self.judge.arrives(visit)
        decided = await suggest(tx, self._door(visit), visit.at)
        ranked = {row.rank: row for row in decided.candidates if row.rank is not None}
        rows = [ranked[rank] for rank in sorted(ranked)]
        place = self.ground.place
        shown = [self.ground.offers[place[row.offering_code]] for row in rows]
        self.judge.finds(visit, shown)
        pitch = pitched(self.ground, self.judge, visit, shown)
        self.played.groups.append(decided.decision.group)
        self._note(visit, decided)
        self.played.losses.add(
            self.ground,
            self.judge,
            visit,
            [
                Passed(
                    row.offering_code,
                    row.score_fen,
                    (row.value_fen or 0) * (1.0 if row.lever is None else row.lever),
                    row.propensity,
                )
                for row in decided.candidates
                if row.propensity is not None
            ],
            decided.decision.group,
            shown,
            float(self.best[visit.number]),
        )
        if pitch is not None:
            row = rows[shown.index(pitch.offer)]
            self._keep(visit, row, pitch)
            await take_down(
                tx,
                row.id,
                _said(pitch, visit.at),
                technician_id=stage.technician_id(visit.technician),
                now=visit.at,
            )
        await release_slot(tx, stage.visit_id(visit))
        if visit.work_type == "repair":
            self._repairs[visit.home].append(visit.reported_at)

    def _door(self, visit: Visit) -> Door:
        return Door(
            visit_id=stage.visit_id(visit),
            work_order_id=stage.order_id(visit),
            customer_id=stage.customer_id(visit.home),
            technician_id=stage.technician_id(visit.technician),
            began_at=visit.at - stage.SERVED,
            work_type=visit.work_type,
            reported_at=visit.reported_at,
            restored=visit.restored,
            order_pending=visit.order_pending,
            other_repairs_at=list(self._repairs[visit.home]),
            org_path=stage.PATH,
            zone=ZONE,
        )

    def _note(self, visit: Visit, decided: Decided) -> None:
        """Keep the truth about what could have been put first, for judging estimates by it."""
        passed = [row for row in decided.candidates if row.propensity is not None]
        if not passed or decided.decision.group == Group.HOLDOUT:
            return
        contacts = self.judge.contacts_in_30_days(visit)
        chances = self.ground.truth.chances(visit.home, visit.work_type, contacts, visit.dice.mood)
        place = self.ground.place
        self.played.asked.append(
            Asked(
                first=pitches_at(visit) == 0,
                chances={
                    row.offering_code: float(chances[place[row.offering_code]]) for row in passed
                },
                values_fen={row.offering_code: row.value_fen or 0 for row in passed},
            )
        )

    def _keep(self, visit: Visit, row: Suggestion, pitch: Pitch) -> None:
        played = self.played
        if row.p_accept is not None:
            yes = pitch.answer == "accepted"
            played.answers.append(Answer(pitch.offer.code, row.p_accept, yes))
        played.values[visit.number] = pitch.value_fen
        played.pitches += 1
        self.judge.says(visit, pitch.offer, pitch.answer, pitch.later_on)
        if pitch.answer == "accepted":
            played.accepted += 1
            self._sold.append((visit, pitch))
        if pitch.complains:
            played.complaints += 1
            self._angry.append(complaint_of(visit))


def _said(pitch: Pitch, at: datetime) -> Said:
    return Said(
        id=new_id(),
        answer=AnswerKind(pitch.answer),
        reason=None if pitch.reason is None else DeclineReason(pitch.reason),
        competitor=None,
        later_on=pitch.later_on,
        device_at=at,
    )


@dataclass
class _Clock:
    now: datetime


@contextmanager
def _moments() -> Iterator[_Clock]:
    """Make new ids of the field's time, since an id begins with the moment it was made at."""
    clock, real = _Clock(local(date(2026, 1, 1), 0)), uuid_utils.compat.uuid7

    def of_the_field() -> UUID:
        return UUID(bytes=uuid_utils.uuid7(nanoseconds=int(clock.now.timestamp() * 1e9)).bytes)

    uuid_utils.compat.uuid7 = of_the_field  # type: ignore[assignment]
    try:
        yield clock
    finally:
        uuid_utils.compat.uuid7 = real
