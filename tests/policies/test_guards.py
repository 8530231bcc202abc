"""What was pitched against a guard, told afterwards: for each what breaks it, and what does not."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from app.core.db import database_of, new_id
from app.core.parameter_values import ParameterValue
from app.customers.models import ContactConsent
from app.customers.rules import Channel, ConsentState, InteractionKind
from app.policies.queries import guards
from app.suggestions.models import SuggestionGate
from app.suggestions.rules import HeldBack
from app.worktypes.rules import WorkType
from tests.conftest import MONDAY_NINE
from tests.make.customers import make_address, make_contact, make_customer
from tests.make.policies import make_log
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order

# Sunday at one in the afternoon, where the visits are.
AT = MONDAY_NINE - timedelta(hours=20)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
SINCE, UNTIL = AT - HOUR, AT + 3 * HOUR
COMPLAINT, FAULT = InteractionKind.COMPLAINT, InteractionKind.FAULT

_AGAINST = text(f"{guards.PITCHED_AGAINST} SELECT customer_id FROM judged WHERE against")


async def against(tx):
    """Whose pitch was against a guard."""
    await tx.flush()
    return set(await tx.scalars(_AGAINST, await guards.judging(tx, SINCE, UNTIL)))


def sales(*days_ago, **fields):
    """Sales contacts on other channels; a fraction of a day is hours."""

    async def add(world, customer):
        for days in days_ago:
            await make_contact(world.tx, customer, at=AT - days * DAY, **fields)

    return add


def heard(kind, *days_ago, closed=None):
    """What was heard of them; `closed` counts days back from the pitch."""

    async def add(world, customer):
        ended = None if closed is None else AT - closed * DAY
        for days in days_ago:
            at = AT - days * DAY
            await make_contact(world.tx, customer, at=at, kind=kind, closed_at=ended)

    return add


def neighbour(room):
    async def add(world, customer):
        other = await make_customer(world.tx)
        street = str(new_id())
        for one in (customer, other):
            await make_address(world.tx, one, standard_address=street, room=room)
        await sales(8, 15, 29)(world, other)

    return add


def row(**fields):
    """What the customer's row says now."""

    async def add(world, customer):
        for name, value in fields.items():
            setattr(customer, name, value)

    return add


# Decisions of today name the fact, whatever it is.
ASKED_IF_SATISFIED = '{"dissatisfied_on": null}'


def known(facts):
    """What the decision knew of them."""

    async def add(world, customer):
        await world.change("facts = facts || CAST(:value AS jsonb)", customer, facts)

    return add


def consent(*said):
    async def add(world, customer):
        for channel, state, days in said:
            at = AT - days * DAY
            world.tx.add(
                ContactConsent(customer_id=customer.id, channels=[channel], state=state, said_at=at)
            )

    return add


def repair(days, **fields):
    """A repair of theirs that was reported so many days before, after a call three days before."""

    async def add(world, customer):
        at = AT - days * DAY
        await heard(FAULT, 3)(world, customer)
        await make_assigned_order(world.tx, world.technician, customer, now=at + HOUR, **fields)

    return add


def decided_for(restored, work_type=WorkType.REPAIR, *, ahead=False, marked=None):
    """An order of their own, restored so many hours before the pitch; null is never.

    `marked` is by how many hours the phone marked it before its answer.
    """

    async def add(world, customer):
        order = await make_assigned_order(
            world.tx, world.technician, customer, now=AT, work_type=work_type
        )
        await world.change("work_order_id = CAST(:value AS uuid)", customer, str(order.id))
        given = {
            "order": order.id,
            "customer": customer.id,
            "at": None if restored is None else AT - restored * HOUR,
        }
        await world.tx.execute(
            text(
                "UPDATE visit SET work_order_id = :order, restored_at = :at FROM"
                " suggestion_decision d WHERE d.visit_id = visit.id AND d.customer_id = :customer"
            ),
            given,
        )
        if ahead:
            await world.change("visit_id = NULL", customer)
        if marked is not None:
            await world.tx.execute(
                text(
                    "INSERT INTO work_order_event (id, work_order_id, at, device_at, step,"
                    " to_state) VALUES (:id, :order, :at, :device_at, 'restore', 'on_site')"
                ),
                {**given, "at": AT, "id": new_id(), "device_at": AT - marked * HOUR},
            )

    return add


def said(offer, answer, *days_ago, later_on=None, then=None, reason="price"):
    """What they said to an offer in earlier visits; `then` is heard of it afterwards."""

    async def add(world, customer):
        log = replace(world.log, customers=[customer])
        for days in days_ago:
            at = AT - days * DAY
            await log.decide(1, at, truth={offer: 0.0}, over=timedelta(0))
            given = {"at": at, "customer": customer.id, "answer": answer, "later_on": later_on}
            given["reason"] = reason if answer == "declined" else None
            await world.tx.execute(
                text(
                    "UPDATE suggestion_answer SET answer = :answer, later_on = :later_on,"
                    " reason = :reason"
                    " WHERE at = :at AND customer_id = :customer"
                ),
                given,
            )
            if then:
                await world.tx.execute(
                    text(
                        "INSERT INTO suggestion_answer (id, suggestion_id, customer_id,"
                        " technician_id, answer, at, device_at, created_at)"
                        " SELECT :id, suggestion_id, customer_id, technician_id, :then, at, at,"
                        " created_at + interval '1 hour' FROM suggestion_answer"
                        " WHERE at = :at AND customer_id = :customer"
                    ),
                    {**given, "id": new_id(), "then": then},
                )

    return add


async def second_pitch(world, customer):
    await replace(world.log, customers=[customer]).decide(
        1, AT + HOUR, truth={"OTHER": 1.0}, over=timedelta(0)
    )
    await world.change(
        "visit_id = (SELECT visit_id FROM suggestion_decision d"
        " WHERE d.customer_id = :customer ORDER BY at LIMIT 1)",
        customer,
    )


def both(*several):
    async def add(world, customer):
        for one in several:
            await one(world, customer)

    return add


WITHDRAWN, GIVEN = ConsentState.WITHDRAWN, ConsentState.GIVEN
VISIT, PHONE = Channel.VISIT, Channel.PHONE
ONE_VISIT = {"work_order_id": new_id()}
REFUSED = {"outcome": "declined"}
TOMORROW, TODAY = date(2026, 3, 2), date(2026, 3, 1)

CASES = {
    "nothing": (False, sales()),
    "three a month": (True, sales(8, 15, 29)),
    "two a month": (False, sales(8, 15, 31)),
    "one visit is one contact": (False, sales(8, 8.01, 8.02, **ONE_VISIT)),
    "somebody at their address": (True, neighbour("1室")),
    "somebody in a house with many homes": (False, neighbour(None)),
    "twelve a year": (True, sales(*range(40, 280, 20))),
    "eleven a year": (False, sales(*range(40, 260, 20))),
    "six days ago": (True, sales(6)),
    "seven days ago": (False, sales(7)),
    "open complaint": (True, heard(COMPLAINT, 40)),
    "complaint closed lately": (True, heard(COMPLAINT, 40, closed=13)),
    "complaint closed since": (True, heard(COMPLAINT, 40, closed=-1)),
    "complaint closed long ago": (False, heard(COMPLAINT, 40, closed=14)),
    "complaint afterwards": (False, heard(COMPLAINT, -1)),
    "undisturbed by the CRM": (True, row(do_not_disturb=True, as_of=AT - DAY)),
    "undisturbed by a later file": (False, row(do_not_disturb=True)),
    "undisturbed here": (True, row(do_not_disturb=True, do_not_disturb_since=AT - DAY)),
    "undisturbed here since": (
        False,
        row(do_not_disturb=True, do_not_disturb_since=AT + HOUR, as_of=AT - DAY),
    ),
    "undisturbed then, not now": (True, known('{"do_not_disturb": true}')),
    "visits refused": (True, consent((VISIT, WITHDRAWN, 2))),
    "visits refused, then allowed": (
        False,
        consent((VISIT, WITHDRAWN, 2), (VISIT, GIVEN, 1)),
    ),
    "visits refused afterwards": (False, consent((VISIT, WITHDRAWN, -1))),
    "calls refused": (False, consent((PHONE, WITHDRAWN, 2))),
    "fault came back": (True, heard(FAULT, 3, 10)),
    "one fault, two calls": (False, heard(FAULT, 3, 3.9)),
    "fault long ago": (False, heard(FAULT, 3, 31)),
    "repair and another call": (True, repair(10)),
    "repair of the same fault": (False, repair(3)),
    "repair of long ago": (False, repair(40)),
    "not repaired": (True, decided_for(None)),
    "repaired afterwards": (True, decided_for(-1)),
    "repaired": (False, decided_for(1)),
    "nothing to repair": (False, decided_for(None, WorkType.INSTALL)),
    "ahead, never repaired": (True, decided_for(None, ahead=True)),
    "ahead, repaired afterwards": (True, decided_for(-1, ahead=True, marked=-1)),
    "ahead, repaired": (False, decided_for(-1, ahead=True, marked=1)),
    "in arrears then": (True, known('{"arrears_fen": 1}')),
    "in arrears now": (False, both(row(arrears_fen=1), known('{"arrears_fen": 0}'))),
    "blacklisted then": (True, known('{"blacklisted": true}')),
    "blacklisted now": (False, both(row(blacklisted=True), known('{"blacklisted": false}'))),
    "second in a visit": (True, second_pitch),
    "declined 89 days ago": (True, said("GOOD", "declined", 89)),
    "declined 90 days ago": (False, said("GOOD", "declined", 90)),
    "declined, then accepted": (False, said("GOOD", "declined", 80, then="accepted")),
    "declined alike 29 days ago": (True, said("POOR", "declined", 29)),
    "declined alike 30 days ago": (False, said("POOR", "declined", 30)),
    "not satisfied 13 days ago": (
        True,
        both(said("OTHER", "declined", 13, reason="dissatisfied"), known(ASKED_IF_SATISFIED)),
    ),
    "not satisfied 14 days ago": (
        False,
        both(said("OTHER", "declined", 14, reason="dissatisfied"), known(ASKED_IF_SATISFIED)),
    ),
    "not satisfied, before that was a guard": (
        False,
        said("OTHER", "declined", 13, reason="dissatisfied"),
    ),
    "declined another": (False, said("OTHER", "declined", 10)),
    "later than today": (True, said("GOOD", "later", 10, later_on=TOMORROW)),
    "later is today": (False, said("GOOD", "later", 10, later_on=TODAY)),
    "another later": (False, said("POOR", "later", 10, later_on=TOMORROW)),
    "third refusal 179 days ago": (True, said("OTHER", "declined", 179, 250, 350)),
    "third refusal 180 days ago": (False, said("OTHER", "declined", 180, 250, 350)),
    "refusals far apart": (False, said("OTHER", "declined", 40, 100, 225)),
    "refused by telephone": (True, sales(179, 250, 350, **REFUSED)),
    "refused in all channels": (
        True,
        both(said("OTHER", "declined", 179), sales(250, 350, **REFUSED)),
    ),
}


class World:
    """The log of one Sunday, and what is needed to say more of a customer's decision."""

    def __init__(self, tx, log, technician):
        self.tx, self.log, self.technician = tx, log, technician

    async def change(self, what, customer, value=None):
        """Rewrite the customer's newest decision, as if it had been made so."""
        await self.tx.execute(
            text(
                f"UPDATE suggestion_decision SET {what} WHERE id = (SELECT id FROM"
                " suggestion_decision WHERE customer_id = :customer ORDER BY at DESC LIMIT 1)"
            ),
            {"customer": customer.id} | ({} if value is None else {"value": value}),
        )


@pytest.fixture
async def world(tx):
    log = await make_log(tx, now=MONDAY_NINE, customers=len(CASES))
    technician = await make_technician(tx)
    # The log is append-only; here some of it is rewritten as if it had been so from the beginning.
    await tx.execute(text("SET LOCAL session_replication_role = replica"))
    await log.add_offering("OTHER", category="tv")
    await log.decide(len(CASES), AT, truth={"GOOD": 1.0}, over=timedelta(seconds=1))
    return World(tx, log, technician)


async def test_each_guard_is_told_by_what_was_written_down(world):
    """One statement over a customer for each case, so that what is wrong with one shows."""
    names = dict(zip((one.id for one in world.log.customers), CASES, strict=True))
    for customer, (_, add) in zip(world.log.customers, CASES.values(), strict=True):
        await add(world, customer)
    found = {names[one] for one in await against(world.tx)}
    assert found == {name for name, (broken, _) in CASES.items() if broken}
    assert (await guards.violations(world.tx, SINCE, UNTIL, "before")).against == len(found)
    assert await guards.violations(world.tx, SINCE, UNTIL, "other") == (0, 0)


@pytest.mark.parametrize(
    "from_hours, gap, broken",
    [(None, None, True), (-1, 3, False), (1, 3, True), (-1, 6.5, True)],
)
async def test_the_numbers_are_those_of_the_moment(world, from_hours, gap, broken):
    customer = world.log.customers[0]
    await sales(6)(world, customer)
    if from_hours is not None:
        world.tx.add(
            ParameterValue(
                name="suggestions.contact_gap_days",
                valid_from=AT + from_hours * HOUR,
                value=gap,
            )
        )
    await world.tx.flush()
    database_of(world.tx).cache.clear()
    assert (customer.id in await against(world.tx)) is broken


async def test_a_guard_that_is_switched_off_is_not_broken(world):
    customer, other = world.log.customers[:2]
    await sales(6)(world, customer)
    await sales(8, 15, 29)(world, other)
    for code in (HeldBack.CONTACT_GAP, HeldBack.DO_NOT_DISTURB):
        world.tx.add(
            SuggestionGate(
                code=code, version=1, org_path="", valid_from=date(2026, 3, 1), in_force=False
            )
        )
    await row(do_not_disturb=True, as_of=AT - DAY)(world, world.log.customers[2])
    await world.tx.flush()
    database_of(world.tx).cache.clear()
    # What is absolute cannot be switched off.
    assert await against(world.tx) == {other.id, world.log.customers[2].id}
