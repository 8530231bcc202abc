"""Deciding what to offer in a visit or ahead of it, and holding the contact slot for it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering, in_force
from app.catalog.rules import OnSite
from app.core.db import new_id
from app.customers.rules import Channel, may_offer_on
from app.suggestions import queries
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules import Group, HeldBack, Mode
from app.suggestions.rules.ahead import Door, valid_until
from app.suggestions.rules.channels import speaker
from app.suggestions.rules.facts import REPAIR, Facts
from app.suggestions.rules.faults import faults_of
from app.suggestions.rules.gates import nothing_at_all
from app.suggestions.rules.here import seen_here
from app.suggestions.rules.levers import left_to, on_site
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.ranking import Candidate, Way, coordination_of, foreseen, ranked
from app.suggestions.rules.silence import silence_of
from app.suggestions.rules.words import FITS_NOTHING
from app.suggestions.service.choosing import Terms, terms_for
from app.suggestions.service.contacts import hold_slots, release_doors


@dataclass(frozen=True)
class Decided:
    """A stored decision, what it said of each offering, and the catalogue it was made from.

    `on_site` is what a technician may do with each offering at the door of this customer.
    """

    decision: SuggestionDecision
    candidates: Sequence[Suggestion]
    catalogue: Mapping[str, Offering]
    on_site: Mapping[str, OnSite]


async def suggest(tx: AsyncSession, door: Door, now: datetime) -> Decided:
    """Decide what to offer at a door; with nothing changed, the decision made before is given.

    Whatever is shown holds the customer's contact slot, so that of many who ask for one customer
    at the same moment only one may start selling. What was taken ahead of the visit is no longer
    asked for then. Raises NotFound for an unknown customer.
    """
    return (await _decided(tx, [door], now))[0]


async def suggest_ahead(
    tx: AsyncSession, doors: Sequence[Door], now: datetime
) -> Sequence[Decided]:
    """Decide what to offer at all the doors one technician is still to come to, in their order.

    It is decided as if what is to be repaired were restored by then. Whatever may be shown holds
    the customer's slot until the visit ought to be over; of two doors of one home the first has
    it. Asked again with nothing changed, what is still valid is given again. It costs as many
    statements for a day full of visits as for one. Raises NotFound for an unknown customer.
    """
    return await _decided(tx, doors, now) if doors else []


async def _decided(tx: AsyncSession, doors: Sequence[Door], now: datetime) -> Sequence[Decided]:
    """Decide for one visit, or ahead for doors of one technician.

    What is written down stands in as many statements for many doors as for one.
    """
    customer_ids = [door.customer_id for door in doors]
    terms_of = [
        await terms_for(tx, door.customer_id, org_path=door.org_path, zone=door.zone, now=now)
        for door in doors
    ]
    await queries.lock_customers(tx, customer_ids)
    homes = await queries.homes_of(tx, customer_ids) if len(doors) > 1 else {}
    facts_of = await facts_at(tx, doors, terms_of[0].limits, now)
    before_of = await queries.newest_decisions(tx, doors)
    days = {facts.today for facts in facts_of.values()}
    catalogues = {day: await in_force(tx, day) for day in days}
    spoken_for: set[UUID] = set()
    found: list[_Found] = []
    for door, terms in zip(doors, terms_of, strict=True):
        facts = facts_of[door.work_order_id]
        if spoken_for & homes.get(door.customer_id, set()):
            facts = replace(facts, slot_taken=True)
        catalogue = catalogues[facts.today]
        before = before_of.get(door.work_order_id)
        one = _decide(door, terms, facts, catalogue, before, now)
        found.append(one)
        if one.decision.held_back is None:
            spoken_for |= homes.get(door.customer_id, set())
    await _keep(tx, found)
    kept = await queries.candidates_of(tx, [one.decision.id for one in found if one.new is None])
    return [
        Decided(
            one.decision,
            kept[one.decision.id] if one.new is None else one.new,
            one.catalogue,
            one.on_site,
        )
        for one in found
    ]


class _Found(NamedTuple):
    """A decision for a door: made before, or new with its candidates."""

    door: Door
    decision: SuggestionDecision
    catalogue: Mapping[str, Offering]
    on_site: Mapping[str, OnSite]
    new: Sequence[Suggestion] | None


def _decide(
    door: Door,
    terms: Terms,
    facts: Facts,
    catalogue: Mapping[str, Offering],
    before: queries.Before | None,
    now: datetime,
) -> _Found:
    """Take the decision made before, if nothing it rests on has changed, or make one."""
    rules_version = _hash(terms.rests_on())
    print_of = _fingerprint(facts, rules_version, terms.way, catalogue)
    offers = [terms.offer(row) for row in catalogue.values()]
    may = {one.code: on_site(facts, one) for one in offers}
    if before is not None:
        if before.decision.fingerprint == print_of and _still_valid(before.decision, now):
            return _Found(door, before.decision, catalogue, may, None)
        # No part of the print: what a decision showed would make another of it.
        facts = replace(facts, shown_in_this_visit=before.shown)
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
        valid_until=valid_until(door, terms.limits, now),
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
    stored = [_stored(decision.id, catalogue, facts, candidate) for candidate in candidates]
    return _Found(door, decision, catalogue, may, stored)


def _still_valid(before: SuggestionDecision, now: datetime) -> bool:
    return before.valid_until is None or now < before.valid_until


async def _keep(tx: AsyncSession, found: Sequence[_Found]) -> None:
    """Write down what is new, and hold the slots of whom something may be shown."""
    new = [one for one in found if one.new is not None]
    if not new:
        return
    await queries.write(tx, [(one.decision, one.new or ()) for one in new])
    await release_doors(tx, [one.door for one in new])
    await hold_slots(
        tx,
        [
            (one.door, one.decision.valid_until)
            for one in new
            if one.decision.held_back is None and one.decision.valid_until is not None
        ],
    )
    await tx.flush()


# The bits of an id that seed a decision: as many as a whole number of the database holds.
_SEED = 2**62 - 1
_VERSION_SHOWN = 16
# What is said of each offer that the gates let through, where nothing was drawn.
_NOTHING = frozenset({HeldBack.NOTHING_TODAY, HeldBack.CAMPAIGN_ALONE})


def _why_nothing(facts: Facts, terms: Terms, way: Way, candidates: Sequence[Candidate]) -> str:
    """Say why nothing is offered: a gate that holds all back, the group, or that nothing fits."""
    whole = nothing_at_all(facts, terms.limits, terms.off)
    if whole is not None:
        return whole
    if way.group is Group.HOLDOUT:
        return HeldBack.HOLDOUT
    passed = [one.held_back for one in candidates if one.propensity is not None]
    if passed and _NOTHING.issuperset(passed):
        return HeldBack.NOTHING_TODAY
    return FITS_NOTHING


def _stored(
    decision_id: UUID, catalogue: Mapping[str, Offering], facts: Facts, candidate: Candidate
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
        coordination=coordination_of(facts, candidate.offer),
        left_to=left_to(facts, candidate.offer),
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


async def facts_at(
    tx: AsyncSession, doors: Sequence[Door], limits: Limits, now: datetime
) -> Mapping[UUID, Facts]:
    """Read what decisions see, by the doors' orders. Raises NotFound."""
    known_of = await queries.customer_facts(tx, doors, limits, now)
    heard = await queries.answers_of(tx, [door.customer_id for door in doors], limits, now)
    return {
        door.work_order_id: _facts_of(
            door, known_of[door.work_order_id], heard[door.customer_id], limits, now
        )
        for door in doors
    }


def _facts_of(
    door: Door,
    known: queries.Known,
    answers: Sequence[queries.Heard],
    limits: Limits,
    now: datetime,
) -> Facts:
    faults_since = now - timedelta(days=limits.repeat_fault_days)
    reports = [*known.fault_calls, *(at for at in door.other_repairs_at if at > faults_since)]
    if door.work_type == REPAIR:
        # What is being repaired counts however long it has waited.
        reports.append(door.reported_at)
    today = now.astimezone(door.zone).date()
    silence = silence_of([row.spoken(door.zone) for row in answers], today, limits)
    held = frozenset((*(known.codes or ()), *(known.categories or ())))
    return Facts(
        **vars(silence),
        today=today,
        work_type=door.work_type,
        restored=door.restored,
        pitched_in_this_visit=sum(row.in_visit(door) and row.pitched for row in answers),
        order_pending=door.order_pending,
        **seen_here(door.ordered_here, held)._asdict(),
        faults=len(faults_of(reports)),
        do_not_disturb=known.do_not_disturb,
        arrears_fen=known.arrears_fen,
        complaint_open=known.complaint_open,
        complaint_closed_on=known.complaint_closed_on,
        held=held,
        speed_mbps=known.speed_mbps,
        monthly_usage_gb=known.monthly_usage_gb,
        contract_ends_on=known.contract_ends_on,
        line_max_mbps=known.line_max_mbps,
        port_free=known.port_free,
        contacts_month=known.contacts_month,
        contacts_year=known.contacts_year,
        last_contact_on=known.last_contact_on,
        slot_taken=known.slot_taken,
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
        terminals=frozenset(known.terminals),
        calls=known.calls,
        left_on=known.left_on,
        win_back_refused=known.win_back_refused,
        agreed=frozenset(known.agreed),
        measured_mbps=known.measured_mbps,
        measured_on=known.measured_at and known.measured_at.astimezone(door.zone).date(),
        prefers=_preferred(known),
    )


def _preferred(known: queries.Known) -> str | None:
    """Say as whom the channel speaks that a customer prefers, if offers are allowed on it."""
    if known.preferred_channel is None:
        return None
    channel = Channel(known.preferred_channel)
    allowed = may_offer_on(
        channel,
        allowed=list(map(Channel, known.channels_allowed)),
        refused=list(map(Channel, known.channels_refused)),
        do_not_disturb=known.do_not_disturb,
    )
    return speaker(channel) if allowed else None
