"""Perfect play: whoever knows the hidden truth, before the same doors and under the same rules."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import groupby

import numpy as np

from benchmarks.suggestions.door import Pitch, fitted, pitched
from benchmarks.suggestions.field import Event, Field, Visit, local, local_day
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.numbers import Floats
from benchmarks.suggestions.offers import Offering

SHOWN = 3


def best(field: Field, judge: Judge, visit: Visit) -> list[Offering]:
    """Choose what is worth most by the truth among what breaks no rule; often nothing."""
    if judge.broken_by_any(visit):
        return []
    contacts = judge.contacts_in_30_days(visit)
    chances = field.truth.chances(visit.home, visit.work_type, contacts)
    values = field.truth.values(visit.home, chances)
    allowed = [
        at
        for at in np.argsort(-values, kind="stable")
        if values[at] > 0 and not judge.broken(visit, field.offers[at])
    ]
    return [field.offers[at] for at in allowed[:SHOWN]]


def perfect(field: Field) -> Floats:
    """Play the whole field with perfect knowledge; return what each visit was worth, in fen.

    It is perfect at each door and does not look ahead: a contact spent today may be missed later.
    """
    judge = Judge(field.homes)
    values = np.zeros(len(field.visits))

    def at_the_door(visit: Visit) -> Pitch | None:
        pitch = pitched(field, judge, visit, best(field, judge, visit))
        if pitch is not None:
            values[visit.number] = pitch.value_fen
        return pitch

    walk(field, judge, at_the_door)
    return values


def walk(
    field: Field,
    judge: Judge,
    at_the_door: Callable[[Visit], Pitch | None],
    night: Callable[[date], None] = lambda day: None,
) -> None:
    """Go through a field from visit to visit without a database, with the judge's books alone."""
    waiting = iter(field.events)
    event: Event | None = next(waiting, None)
    sold: list[tuple[int, Offering]] = []
    angry: list[Event] = []
    for day, visits in groupby(field.visits, lambda visit: local_day(visit.at)):
        for home, offer in sold:
            fitted(judge, home, offer, day)
        for complaint in angry:
            judge.happens(complaint)
        sold, angry = [], []
        night(day)
        for visit in visits:
            while event is not None and event.at <= visit.at:
                judge.happens(event)
                event = next(waiting, None)
            judge.arrives(visit)
            pitch = at_the_door(visit)
            if pitch is None:
                continue
            judge.says(visit, pitch.offer, pitch.answer, pitch.later_on)
            if pitch.answer == "accepted":
                sold.append((visit.home, pitch.offer))
            if pitch.complains:
                angry.append(complaint_of(visit))


def complaint_of(visit: Visit) -> Event:
    """Write the complaint that a pitch in a visit gave rise to, on the next morning."""
    at = local(local_day(visit.at) + timedelta(days=1), 7)
    return Event(at, visit.home, "complaint", at + timedelta(days=6))
