"""The policies played by the rules of the service without its database, in a minute or two.

What a decision sees is put together from the judge's books, and the ranking is the service's own
(`rules.ranking`). It is for trying what a prior, a floor or a feature does to the whole of a field;
that the service finds the same facts in the database is what the play through it shows.
"""

from dataclasses import dataclass, field
from datetime import date

import numpy as np

from app.catalog.rules import BusinessType, ValueLever
from app.policies.rules.fitting import Belief, enough, learned
from app.suggestions.rules.exploring import FLOOR_PILOT, HOLDOUT, UNIFORM, Shares, group_of
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.model import FEATURES, Model, OfferModel
from app.suggestions.rules.ranking import RULES_ALONE, Candidate, Way, ranked
from benchmarks.suggestions import stage
from benchmarks.suggestions.door import Pitch, pitched
from benchmarks.suggestions.field import FIRST_DAY, Field, Visit, local_day
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.offers import Offering
from benchmarks.suggestions.oracle import walk
from benchmarks.suggestions.people import risk_of, stage_of
from benchmarks.suggestions.playing import Played

# An offer with fewer answers of either kind keeps the expert's rate.
LEAST = 50
LIMITS = Limits()


@dataclass
class Heard:
    """What was answered to one offer: what the model was told, and whether it was a yes."""

    told: list[dict[str, float]] = field(default_factory=list)
    accepted: list[bool] = field(default_factory=list)


def rehearse(ground: Field, name: str) -> Played:
    """Play one of the policies by name; the nights' fitting is that of `app.policies`."""
    return _Rehearsal(ground, name).play()


class _Rehearsal:
    def __init__(self, ground: Field, name: str) -> None:
        self.ground, self.name = ground, name
        self.judge = Judge(ground.homes)
        self.played = Played(np.zeros(len(ground.visits)))
        self.offers = [_offer_of(offer) for offer in ground.offers]
        self.model = None if name == "rules-only" else Model.cold("cold")
        self.heard = {offer.code: Heard() for offer in self.offers}
        self.shares = Shares(HOLDOUT.default, UNIFORM.default, 0.0)

    def play(self) -> Played:
        walk(self.ground, self.judge, self._door, self._night)
        self.played.broken = dict(self.judge.found)
        return self.played

    def _door(self, visit: Visit) -> Pitch | None:
        way = self._way(visit)
        self.played.groups.append(way.group)
        facts = facts_of(self.judge, visit)
        shown = [one for one in ranked(facts, self.offers, LIMITS, way=way) if one.rank is not None]
        by_code = {offer.code: offer for offer in self.ground.offers}
        offered = [by_code[one.offer.code] for one in shown]
        self.judge.finds(visit, offered)
        pitch = pitched(self.ground, self.judge, visit, offered)
        if pitch is not None:
            self._keep(visit, pitch, shown[offered.index(pitch.offer)])
        return pitch

    def _way(self, visit: Visit) -> Way:
        if self.model is None:
            return RULES_ALONE
        group = group_of(stage.customer_id(visit.home), local_day(visit.at), self.shares)
        return Way(group, self.model, FLOOR_PILOT.default, seed=visit.number)

    def _keep(self, visit: Visit, pitch: Pitch, candidate: Candidate) -> None:
        played, yes = self.played, pitch.answer == "accepted"
        played.values[visit.number] = pitch.value_fen
        played.pitches += 1
        played.accepted += yes
        played.complaints += pitch.complains
        played.foretold.append((candidate.scoring.chance, yes))
        heard = self.heard[pitch.offer.code]
        heard.told.append(candidate.told or {})
        heard.accepted.append(yes)

    def _night(self, day: date) -> None:
        if self.name != "learned":
            return
        offers = {
            offer.code: _fit(offer.expert_rate, heard)
            for offer in self.offers
            if (heard := self.heard[offer.code]).accepted
            and enough(sum(heard.accepted), len(heard.accepted) - sum(heard.accepted), LEAST)
        }
        self.model = Model(f"{day}", offers)


def _fit(rate: float, heard: Heard) -> OfferModel:
    prior = OfferModel.prior(rate, len(FEATURES))
    rows = np.array([[told.get(name, 0.0) for name in FEATURES] for told in heard.told])
    accepted = np.array(heard.accepted)
    after = learned(Belief(np.array(prior.mean), np.array(prior.covariance)), rows, accepted)
    return OfferModel(
        rate,
        tuple(map(float, after.mean)),
        tuple(tuple(map(float, row)) for row in after.covariance),
        int(accepted.sum()),
        int(len(accepted) - accepted.sum()),
    )


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
        declined_on={offer.code: day for day, offer in card.declined},
        declined_group_on={offer.category: day for day, offer in card.declined},
        accepted_on=dict(card.accepted),
        later_on=dict(card.later),
        tenure_months=(today - home.activated_on).days // 30,
        stage=stage_of(home, FIRST_DAY),
        tier=home.tier,
        churn_class=risk_of(home),
        churn_score=home.leaves,
        value_12m_fen=12 * home.price_fen,
        served_today="service_contact_today" in rules,
    )
