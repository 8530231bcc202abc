"""The policies played by the rules of the service without its database, in a minute or two.

What a decision sees is put together from the judge's books, and the ranking is the service's own
(`rules.ranking`). It is for trying what a prior, a floor or a feature does to the whole of a field;
that the service finds the same facts in the database is what the play through it shows.
"""

from datetime import date

import numpy as np

from app.catalog.rules import BusinessType, ValueLever
from app.policies.queries.log import Answers
from app.policies.rules.parameters import LEAST_ANSWERS
from app.policies.service.learning import Sold, fit
from app.suggestions.rules.exploring import (
    FLOOR_ALIKE,
    FLOOR_PILOT,
    HOLDOUT,
    SPREAD,
    UNIFORM,
    Shares,
    group_of,
)
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.levers import stages_of
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.model import FEATURES, Model, Trying
from app.suggestions.rules.ranking import Candidate, Way, ranked
from app.suggestions.rules.silence import stopped_on
from benchmarks.suggestions import stage
from benchmarks.suggestions.door import Pitch, pitched
from benchmarks.suggestions.field import Field, Visit, local_day
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.losses import Passed
from benchmarks.suggestions.numbers import Floats
from benchmarks.suggestions.offers import Offering
from benchmarks.suggestions.oracle import walk
from benchmarks.suggestions.people import risk_of, stage_of
from benchmarks.suggestions.playing import Answer, Played

LIMITS = Limits()
LEVERS = stage.levers()


def rehearse(ground: Field, best: Floats, name: str, *, untried: bool = False) -> Played:
    """Play one of the policies by name; the nights' fitting is that of `app.policies`.

    `best` is what perfect play makes of each visit. `untried` leaves out the floor and the draws:
    what is offered is always what is thought best.
    """
    rehearsal = _Rehearsal(ground, best, name)
    if untried:
        rehearsal.trying = Trying(0.0, FLOOR_ALIKE.default, 0.0)
    return rehearsal.play()


class _Rehearsal:
    def __init__(self, ground: Field, best: Floats, name: str) -> None:
        self.ground, self.best, self.name = ground, best, name
        self.judge = Judge(ground.homes)
        self.played = Played(np.zeros(len(ground.visits)))
        self.offers = [_offer_of(offer) for offer in ground.offers]
        self.sold = {offer.code: Sold(offer.expert_rate, offer.category) for offer in self.offers}
        self.model = None if name == "rules-only" else Model.cold("cold")
        self.heard: list[tuple[str, list[float], bool]] = []
        self.shares = Shares(HOLDOUT.default, UNIFORM.default, 0.0)
        self.trying = Trying(FLOOR_PILOT.default, FLOOR_ALIKE.default, SPREAD.default)

    def play(self) -> Played:
        walk(self.ground, self.judge, self._door, self._night)
        self.played.broken = dict(self.judge.found)
        return self.played

    def _door(self, visit: Visit) -> Pitch | None:
        group = group_of(stage.customer_id(visit.home), local_day(visit.at), self.shares)
        way = Way(group, self.model, self.trying, seed=visit.number)
        self.played.groups.append(group)
        facts = facts_of(self.judge, visit)
        candidates = ranked(facts, self.offers, LIMITS, way=way)
        shown = [one for one in candidates if one.rank is not None]
        offered = [self.ground.offers[self.ground.place[one.offer.code]] for one in shown]
        self.judge.finds(visit, offered)
        self.played.losses.add(
            self.ground,
            self.judge,
            visit,
            [
                Passed(one.offer.code, one.score, one.scoring.value_fen, one.propensity)
                for one in candidates
                if one.propensity is not None
            ],
            group,
            offered,
            float(self.best[visit.number]),
        )
        pitch = pitched(self.ground, self.judge, visit, offered)
        if pitch is not None:
            self._keep(visit, pitch, shown[offered.index(pitch.offer)])
        return pitch

    def _keep(self, visit: Visit, pitch: Pitch, candidate: Candidate) -> None:
        played, yes = self.played, pitch.answer == "accepted"
        played.values[visit.number] = pitch.value_fen
        played.pitches += 1
        played.accepted += yes
        played.complaints += pitch.complains
        played.answers.append(Answer(pitch.offer.code, candidate.scoring.chance, yes))
        told = candidate.told or {}
        self.heard.append((pitch.offer.code, [told.get(name, 0.0) for name in FEATURES], yes))

    def _night(self, day: date) -> None:
        if self.name != "learned" or not self.heard:
            return
        codes, rows, said = zip(*self.heard, strict=True)
        none = np.zeros(len(said))
        heard = Answers(
            names=FEATURES,
            codes=np.array(codes, dtype=np.str_),
            features=np.array(rows),
            predicted=none,
            accepted=np.array(said),
            at=none,
            versions=np.array([""] * len(said), dtype=np.str_),
        )
        self.model = fit(f"{day}", heard, self.sold, round(LEAST_ANSWERS.default))


def _offer_of(offer: Offering) -> Offer:
    return Offer(
        code=offer.code,
        category=offer.category,
        business_type=BusinessType(offer.business_type),
        margin_12m_fen=offer.margin_fen,
        expert_rate=offer.expert_rate,
        speed_mbps=offer.speed_mbps,
        requires=offer.requires,
        excludes=offer.excludes,
        levers=frozenset(ValueLever(lever) for lever in offer.levers),
        install_minutes=offer.install_minutes,
        least_usage_gb=offer.least_usage_gb,
        most_usage_gb=offer.most_usage_gb,
        prepaid=offer.prepaid,
        stages=stages_of(offer.levers, LEVERS),
    )


def facts_of(judge: Judge, visit: Visit) -> Facts:
    """Put together what a decision sees, from the judge's books."""
    home, card, today = judge.homes[visit.home], judge.cards[visit.home], local_day(visit.at)
    rules = judge.broken_by_any(visit)
    contacts = judge.contacts(visit)
    return Facts(
        today=today,
        work_type=visit.work_type,
        restored=visit.restored,
        order_pending=visit.order_pending,
        faults=judge.faults_in_30_days(visit),
        do_not_disturb=card.do_not_disturb,
        arrears_fen=home.arrears_fen,
        complaint_open="complaint" in rules,
        held=frozenset(card.held),
        speed_mbps=card.speed_mbps,
        monthly_usage_gb=home.usage_gb,
        contract_ends_on=card.contract_ends_on,
        line_max_mbps=home.line_max_mbps,
        port_free=home.port_free,
        contacts_month=sum((visit.at - at).days < 30 for at in contacts),
        contacts_year=sum((visit.at - at).days < 365 for at in contacts),
        last_contact_on=max(map(local_day, contacts), default=None),
        refusals=sum((today - day).days < 180 for day, _ in card.declined),
        stopped_on=stopped_on(sorted(day for day, _ in card.declined), LIMITS),
        declined_on={offer.code: day for day, offer in card.declined},
        declined_group_on={offer.category: day for day, offer in card.declined},
        accepted_on=dict(card.accepted),
        later_on=dict(card.later),
        tenure_months=(today - home.activated_on).days // 30,
        stage=stage_of(home, today),
        tier=home.tier,
        churn_class=risk_of(home),
        churn_score=home.leaves,
        value_12m_fen=12 * home.price_fen,
        served_today="service_contact_today" in rules,
    )
