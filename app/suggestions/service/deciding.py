"""Deciding what to offer in a visit, and holding the customer's contact slot for it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering, in_force
from app.core.db import new_id
from app.core.parameter_values import parameters_in_force
from app.suggestions import queries
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules import AnswerKind, Group, Mode
from app.suggestions.rules.facts import REPAIR, Facts, Offer
from app.suggestions.rules.gates import nothing_at_all
from app.suggestions.rules.limits import Limits, limits_in_force
from app.suggestions.rules.ranking import POLICY, Candidate, ranked
from app.suggestions.rules.words import FITS_NOTHING
from app.suggestions.service.contacts import hold_slot, release_slot


@dataclass(frozen=True)
class Door:
    """What the room of visits hands in: at which door who stands, and why.

    `other_repairs_at` are the moments at which the customer's other repairs were reported, and
    `order_pending` says that another install, move or removal of theirs is open. The zone is the
    org unit's.
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
    limits = limits_in_force(await parameters_in_force(tx), now, door.org_path)
    await queries.lock_customer(tx, door.customer_id)
    facts = await _facts(tx, door, limits, now)
    catalogue = await in_force(tx, facts.today)
    print_of = _fingerprint(facts, limits, catalogue)
    before = await queries.newest_decision(tx, door.visit_id)
    if before is not None and before.fingerprint == print_of:
        return Decided(before, await queries.candidates_of(tx, before.id), catalogue)
    offers = [offer_of(row) for row in catalogue.values()]
    candidates = ranked(facts, offers, limits)
    shown = any(candidate.rank for candidate in candidates)
    decision = SuggestionDecision(
        id=new_id(),
        visit_id=door.visit_id,
        work_order_id=door.work_order_id,
        customer_id=door.customer_id,
        technician_id=door.technician_id,
        at=now,
        policy=POLICY,
        group=Group.POLICY,
        mode=Mode.PERSONAL,
        as_of=now,
        facts=facts.as_json(),
        fingerprint=print_of,
        held_back=None if shown else nothing_at_all(facts, limits) or FITS_NOTHING,
    )
    tx.add(decision)
    # Without a relationship the unit of work does not know which row must come first.
    await tx.flush()
    stored = [_stored(decision.id, catalogue, candidate) for candidate in candidates]
    tx.add_all(stored)
    await release_slot(tx, door.visit_id)
    if shown:
        until = now + timedelta(hours=limits.slot_hours)
        await hold_slot(tx, door.customer_id, door.visit_id, until)
    await tx.flush()
    return Decided(decision, stored, catalogue)


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
        reasons=[
            {"code": part.code, "fen": part.fen, "values": dict(part.values)}
            for part in candidate.parts
        ],
        held_back=candidate.held_back,
    )


def _fingerprint(facts: Facts, limits: Limits, catalogue: Mapping[str, Offering]) -> str:
    """Hash all that a decision rests on; a version of an offering is its id."""
    rests_on = {
        "policy": POLICY,
        "facts": facts.as_json(),
        "limits": limits._asdict(),
        "offers": sorted(str(row.id) for row in catalogue.values()),
    }
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
        faults_until=(door.reported_at if door.work_type == REPAIR else now) - queries.SAME_FAULT,
        now=now,
        zone=door.zone,
    )
    answers = await queries.answers_of(tx, door.customer_id, limits, now, door.zone)
    # A fault is known as a call, as an order, or as both: the larger number is the safer one.
    earlier = max(known.fault_calls, sum(at > faults_since for at in door.other_repairs_at))
    today = now.astimezone(door.zone).date()
    declined = [row for row in answers if row.answer == AnswerKind.DECLINED]
    return Facts(
        today=today,
        work_type=door.work_type,
        restored=door.restored,
        pitched_in_this_visit=sum(
            row.visit_id == door.visit_id and row.answer != AnswerKind.NOT_PITCHED
            for row in answers
        ),
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
        later_on={row.code: row.later_on for row in answers if row.answer == AnswerKind.LATER},
    )
