"""Perfect play: whoever knows the hidden truth, before the same doors and under the same rules."""

from datetime import timedelta

import numpy as np

from benchmarks.suggestions.door import fitted, pitched
from benchmarks.suggestions.field import FIRST_DAY, Event, Field, Visit, local, local_day
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
    waiting = iter(sorted(field.events, key=lambda event: event.at))
    event: Event | None = next(waiting, None)
    orders: list[tuple[int, Offering]] = []
    complaints: list[Event] = []
    day = FIRST_DAY
    for visit in field.visits:
        while event is not None and event.at <= visit.at:
            judge.happens(event)
            event = next(waiting, None)
        if local_day(visit.at) != day:
            day = local_day(visit.at)
            for home, offer in orders:
                fitted(judge, home, offer, day)
            for complaint in complaints:
                judge.happens(complaint)
            orders, complaints = [], []
        judge.arrives(visit)
        pitch = pitched(field, judge, visit, best(field, judge, visit))
        if pitch is None:
            continue
        values[visit.number] = pitch.value_fen
        judge.says(visit, pitch.offer, pitch.answer, pitch.later_on)
        if pitch.answer == "accepted":
            orders.append((visit.home, pitch.offer))
        if pitch.complains:
            complaints.append(complaint_of(visit))
    return values


def complaint_of(visit: Visit) -> Event:
    """Write the complaint that a pitch in a visit gave rise to, on the next morning."""
    at = local(local_day(visit.at) + timedelta(days=1), 7)
    return Event(at, visit.home, "complaint", at + timedelta(days=6))
