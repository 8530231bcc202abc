"""Deciding what to offer in a visit, and holding the customer's contact slot for it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering, in_force
from app.core.db import new_id
from app.suggestions import queries
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules import AnswerKind, Group, HeldBack, Mode
from app.suggestions.rules.campaigns import push_of
from app.suggestions.rules.facts import REPAIR, Facts, Offer
from app.suggestions.rules.gates import nothing_at_all
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.ranking import COORDINATION, Candidate, Way, foreseen, ranked
from app.suggestions.rules.words import FITS_NOTHING
from app.suggestions.service.choosing import Terms, terms_for
from app.suggestions.service.contacts import hold_slot, release_slot


@dataclass(frozen=True)
class Door:
    """What the room of visits hands in: at which door who stands, and why.

    `other_repairs_at` are the moments at which the customer's other repairs were reported, and
    `order_pending` says that another install, move or removal of theirs is open, and `outage` that
    there is one where they live. The zone is the org unit's.
    """

    visit_id: UUID
    work_order_id: UUID
    customer_id: UUID
    technician_id: UUID
    began_at: datetime
    work_type: str
    reported_at: datetime
    restored: bool
    order_pending: bool
    other_repairs_at: Sequence[datetime]
    org_path: str
    zone: ZoneInfo
    outage: bool = False


@dataclass(frozen=True)
class Decided:
    """A stored decision, what it said of each offering, and the catalogue it was made from."""

    decision: SuggestionDecision
    candidates: Sequence[Suggestion]
    catalogue: Mapping[str, Offering]


async def suggest(tx: AsyncSession, door: Door, now: datetime) -> Decided:
    """Decide what to offer at a door; with nothing changed, the decision made before is given.

    Whatever is shown holds the customer's contact slot, so that of many who ask for one customer
    at the same moment only one may start selling. Raises NotFound for an unknown customer.
    """
    terms = await terms_for(tx, door.customer_id, org_path=door.org_path, zone=door.zone, now=now)
    await queries.lock_customer(tx, door.customer_id)
    facts = await _facts(tx, door, terms.limits, now)
    catalogue = await in_force(tx, facts.today)
    rules_version = _hash(terms.rests_on())
    print_of = _fingerprint(facts, rules_version, terms.way, catalogue)
    before = await queries.newest_decision(tx, door.visit_id)
    if before is not None and before.fingerprint == print_of:
        return Decided(before, await queries.candidates_of(tx, before.id), catalogue)
    offers = [_pushed(offer_of(row), terms) for row in catalogue.values()]
    decision_id = new_id()
    # The last bits of an id are random, and one decision needs but one piece of chance.
    terms = terms.seeded(decision_id.int & _SEED)
    way = terms.way
    if facts.generic and way.group is Group.UNIFORM:
        # Whoever wants no ranking of their own sees what everybody sees.
        way = replace(way, group=Group.POLICY)
    candidates = ranked(facts, offers, terms.limits, way=way, off=terms.off)
    shown = any(candidate.rank for candidate in candidates)
    decision = SuggestionDecision(
        id=decision_id,
        visit_id=door.visit_id,
        work_order_id=door.work_order_id,
        customer_id=door.customer_id,
        technician_id=door.technician_id,
        at=now,
        policy=way.policy,
        rules_version=rules_version[:_VERSION_SHOWN],
        model_version=way.model and way.model.version,
        seed=way.seed,
        group=way.group,
        mode=Mode.GENERIC if facts.generic else Mode.PERSONAL,
        as_of=now,
        facts=facts.as_json(),
        fingerprint=print_of,
        held_back=None if shown else _why_nothing(facts, terms, way, candidates),
        shadow={
            shadow.model.version: foreseen(facts, offers, terms.limits, way=shadow, off=terms.off)
            for shadow in terms.shadows
            if shadow.model is not None
        }
        or None,
    )
    stored = [_stored(decision.id, catalogue, candidate) for candidate in candidates]
    await queries.write(tx, decision, stored)
    await release_slot(tx, door.visit_id)
    if shown:
        until = now + timedelta(hours=terms.limits.slot_hours)
        await hold_slot(tx, door.customer_id, door.visit_id, until)
    await tx.flush()
    return Decided(decision, stored, catalogue)


# The bits of an id that seed a decision: as many as a whole number of the database holds.
_SEED = 2**62 - 1
_VERSION_SHOWN = 16


def _pushed(offer: Offer, terms: Terms) -> Offer:
    push = push_of(offer, terms.campaigns)
    return offer if push == 1 else replace(offer, push=push)


def _why_nothing(facts: Facts, terms: Terms, way: Way, candidates: Sequence[Candidate]) -> str:
    """Say why nothing is offered: a gate that holds all back, the group, or that nothing fits."""
    whole = nothing_at_all(facts, terms.limits, terms.off)
    if whole is not None:
        return whole
    if way.group is Group.HOLDOUT:
        return HeldBack.HOLDOUT
    if any(one.held_back is HeldBack.NOTHING_TODAY for one in candidates):
        return HeldBack.NOTHING_TODAY
    return FITS_NOTHING


def offer_of(row: Offering) -> Offer:
    """See an offering of the catalogue as the ranking sees it."""
    return Offer(
        code=row.code,
        category=row.category,
        business_type=row.business_type,
        margin_12m_fen=row.margin_12m_fen,
        expert_rate=row.expert_rate,
        speed_mbps=row.speed_mbps,
        requires=frozenset(row.requires),
        excludes=frozenset(row.excludes),
        levers=frozenset(row.levers),
        install_minutes=row.install_minutes,
    )


def _stored(
    decision_id: UUID, catalogue: Mapping[str, Offering], candidate: Candidate
) -> Suggestion:
    return Suggestion(
        id=new_id(),
        decision_id=decision_id,
        offering_id=catalogue[candidate.offer.code].id,
        offering_code=candidate.offer.code,
        rank=candidate.rank,
        score_fen=candidate.score,
        p_accept=candidate.scoring.chance,
        value_fen=round(candidate.scoring.value_fen),
        context=candidate.scoring.context,
        lever=candidate.scoring.push,
        propensity=candidate.propensity,
        features=candidate.told,
        reasons=[
            {"code": part.code, "fen": part.fen, "values": dict(part.values)}
            for part in candidate.parts
        ],
        held_back=candidate.held_back,
        coordination=COORDINATION[candidate.offer.business_type],
    )


def _fingerprint(
    facts: Facts, rules_version: str, way: Way, catalogue: Mapping[str, Offering]
) -> str:
    """Hash all that a decision rests on; a version of an offering is its id."""
    return _hash(
        {
            "policy": way.policy,
            "model": way.model and way.model.version,
            "group": way.group,
            "facts": facts.as_json(),
            "rules": rules_version,
            "offers": sorted(str(row.id) for row in catalogue.values()),
        }
    )


def _hash(rests_on: Mapping[str, object]) -> str:
    return hashlib.sha256(orjson.dumps(rests_on, option=orjson.OPT_SORT_KEYS)).hexdigest()


async def _facts(tx: AsyncSession, door: Door, limits: Limits, now: datetime) -> Facts:
    faults_since = now - timedelta(days=limits.repeat_fault_days)
    known = await queries.customer_facts(
        tx,
        customer_id=door.customer_id,
        visit_id=door.visit_id,
        work_order_id=door.work_order_id,
        visit_began_at=door.began_at,
        faults_since=faults_since,
        faults_until=door.reported_at - queries.SAME_FAULT if door.work_type == REPAIR else now,
        other_repairs_at=door.other_repairs_at,
        now=now,
        zone=door.zone,
    )
    answers = await queries.answers_of(tx, door.customer_id, limits, now, door.zone)
    # A fault is known as a call, as an order, or as both: calls about an order are left out.
    earlier = known.fault_calls + sum(at > faults_since for at in door.other_repairs_at)
    today = now.astimezone(door.zone).date()
    declined = [row for row in answers if row.answer == AnswerKind.DECLINED]
    return Facts(
        today=today,
        work_type=door.work_type,
        restored=door.restored,
        pitched_in_this_visit=sum(row.visit_id == door.visit_id and row.pitched for row in answers),
        order_pending=door.order_pending,
        faults=earlier + (door.work_type == REPAIR),
        do_not_disturb=known.do_not_disturb,
        arrears_fen=known.arrears_fen,
        complaint_open=known.complaint_open,
        complaint_closed_on=known.complaint_closed_on,
        held=frozenset((*(known.codes or ()), *(known.categories or ()))),
        speed_mbps=known.speed_mbps,
        monthly_usage_gb=known.monthly_usage_gb,
        contract_ends_on=known.contract_ends_on,
        line_max_mbps=known.line_max_mbps,
        port_free=known.port_free,
        contacts_month=known.contacts_month,
        contacts_year=known.contacts_year,
        last_contact_on=known.last_contact_on,
        slot_taken=known.slot_taken,
        refusals=sum(today - row.day < timedelta(days=limits.refusal_days) for row in declined),
        # Oldest first, so that of several the newest stays.
        declined_on={row.code: row.day for row in declined},
        declined_group_on={row.category: row.day for row in declined},
        accepted_on={row.code: row.day for row in answers if row.answer == AnswerKind.ACCEPTED},
        tenure_months=known.tenure_months,
        stage=known.stage,
        tier=known.tier,
        churn_class=known.churn_class,
        churn_score=known.churn_score,
        value_12m_fen=known.value_12m_fen,
        generic=known.generic,
        blacklisted=known.blacklisted,
        outage=door.outage,
        served_today=known.served_today,
        offered_elsewhere=frozenset(known.offered_elsewhere),
        later_on={row.code: row.later_on for row in answers if row.later_on is not None},
    )
