"""What has been kept long enough goes, in batches, and nothing that is younger."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from app.auth import audit
from app.auth.models import AuditEntry
from app.core.clock import wall
from app.core.db import first_id_at, new_id
from app.customers.models import ContactConsent, CustomerMonth, Interaction
from app.customers.rules import InteractionKind
from app.lifecycle.models import ChurnSample
from app.lifecycle.rules import Tier
from app.privacy import service
from app.privacy.queries import sweeping
from app.retention.models import RetentionCase
from app.retention.rules import Arm, CaseState, Cause, Handling
from app.suggestions.models import SuggestionDecision, SuggestionOutcome
from app.visits.models import Visit
from tests.make.customers import make_contact, make_customer
from tests.make.privacy import aged
from tests.make.retention import make_leaver
from tests.make.visits import make_assigned_order, make_phone


async def test_contacts_and_audit_entries_go_when_they_are_old(tx, database, monkeypatch):
    monkeypatch.setattr(sweeping, "ROUND", 2)
    database.before_commit = audit.record
    customer = await make_customer(tx)
    for days in (1200, 1190, 1180, 1100, 1000):
        await make_contact(tx, customer, at=wall(), id=aged(days))
    await make_contact(
        tx, customer, at=wall(), id=aged(1200), kind=InteractionKind.COMPLAINT, closed_at=None
    )
    for days in (1200, 10):
        at = wall() - timedelta(days=days)
        tx.add(AuditEntry(id=aged(days), created_at=at, action="tested", org_path=""))
    await tx.flush()
    ended = await service.sweep(database, now=wall())
    assert (ended["contacts"], ended["audit"]) == (4, 1)
    left = select(func.count()).select_from(Interaction)
    assert await tx.scalar(left) == 2  # the young one, and the complaint that nobody closed
    assert (await service.sweep(database, now=wall()))["contacts"] == 0
    swept = select(AuditEntry.changes).where(AuditEntry.action == "privacy_sweep")
    assert {change["operation"] for (row,) in await tx.execute(swept) for change in row} == {
        "sweep"
    }


async def test_the_trail_keeps_half_a_year_whatever_the_numbers_say(tx):
    for days in (184, 182):
        at = wall() - timedelta(days=days)
        tx.add(AuditEntry(id=new_id(), created_at=at, action=f"{days}", org_path=""))
    await tx.flush()
    await tx.execute(text("DELETE FROM audit_entry WHERE action = '184'"))
    with pytest.raises(IntegrityError, match="append-only"):
        async with tx.begin_nested():
            await tx.execute(text("DELETE FROM audit_entry WHERE action = '182'"))


async def test_the_last_word_on_a_channel_is_kept(tx, database):
    customer = await make_customer(tx)
    for days, channels in ((1300, ["sms"]), (1200, ["sms", "phone"]), (1250, ["visit"])):
        tx.add(
            ContactConsent(
                id=aged(days),
                created_at=wall() - timedelta(days=days),
                customer_id=customer.id,
                channels=channels,
                state="withdrawn",
                said_at=wall() - timedelta(days=days),
            )
        )
    await tx.flush()
    assert (await service.sweep(database, now=wall()))["consents"] == 1
    left = await tx.scalars(select(ContactConsent.channels))
    assert sorted(left) == [["sms", "phone"], ["visit"]]


async def test_positions_and_contacts_of_orders_are_emptied(tx, app, http, clock, database):
    phone = await make_phone(tx, app, http, clock)
    order = await make_assigned_order(tx, phone.technician, now=clock.now(), id=aged(800))
    young = await make_assigned_order(tx, phone.technician, now=clock.now())
    visit_id = await phone.restore(order)
    await phone.complete(visit_id)
    await tx.execute(
        text("UPDATE visit SET id = :aged WHERE id = :id"), {"aged": aged(31), "id": visit_id}
    )
    ended = await service.sweep(database, now=wall())
    assert (ended["positions"], ended["order_contacts"]) == (1, 1)
    for each in (order, young):
        await tx.refresh(each)
    assert (order.contact_name, order.contact_phone, order.address) == (None, None, "碧波园")
    assert young.contact_name == "王小明"
    assert await tx.scalar(select(Visit.check_in_point)) is None


async def test_months_of_decisions_are_dropped_whole(tx, database):
    begins, ends = (
        first_id_at(wall() - timedelta(days=900)),
        first_id_at(wall() - timedelta(days=870)),
    )
    await tx.execute(
        text(
            "CREATE TABLE suggestion_decision_2024_06 PARTITION OF suggestion_decision"
            f" FOR VALUES FROM ('{begins}') TO ('{ends}')"
        )
    )
    assert (await service.sweep(database, now=wall()))["decisions"] == 1
    months = await tx.scalars(
        text("SELECT relname FROM pg_class WHERE relname LIKE 'suggestion_decision_2%'")
    )
    assert "suggestion_decision_2024_06" not in list(months)
    assert await tx.scalar(select(func.count()).select_from(SuggestionDecision)) == 0


async def test_what_is_known_of_a_customers_worth_and_words_ends(tx, database, monkeypatch):
    monkeypatch.setattr(sweeping, "ROUND", 1)
    customer = await make_customer(tx)
    other = await make_customer(tx)
    today = wall().date().replace(day=1)
    old, young = today - timedelta(days=1200), today - timedelta(days=800)
    for one in (customer, other):
        for month in (old, young):
            tx.add(CustomerMonth(customer_id=one.id, month=month, income_fen=1, as_of=wall()))
            tx.add(
                ChurnSample(
                    customer_id=one.id,
                    month=month,
                    day=month,
                    org_unit_id=one.org_unit_id,
                    fields={},
                )
            )
    gone: dict[str, Any] = {
        "left_on": old,
        "now": wall(),
        "tier": Tier.A,
        "value_12m_fen": 9,
        "note": "…",
    }
    left = await make_leaver(tx, customer, id=aged(1100), refused_at=wall(), **gone)
    lately = await make_leaver(tx, other, id=aged(1000), **gone)
    cases = [
        RetentionCase(
            id=aged(1100),
            org_unit_id=customer.org_unit_id,
            customer_id=customer.id,
            cause=Cause.LEFT,
            handling=Handling.CALL,
            arm=Arm.TREATED,
            share_percent=0,
            state=state,
            decided_at=wall(),
            ask_at=wall(),
            ends_at=wall(),
            closed_at=None if state is CaseState.OPEN else wall(),
            note="太贵",
        )
        for state in (CaseState.DONE, CaseState.OPEN)
    ]
    tx.add_all(cases)
    for days in (1100, 1000):
        tx.add(
            SuggestionOutcome(
                suggestion_id=aged(days),
                decision_id=new_id(),
                customer_id=customer.id,
                answered_at=wall(),
                pitched=True,
                accepted=False,
                settled_at=wall(),
            )
        )
    await tx.flush()
    ended = await service.sweep(database, now=wall())
    named = ("months", "samples", "leavers", "cases", "outcomes")
    assert [ended[name] for name in named] == [2, 2, 1, 1, 1]
    assert set(await tx.scalars(select(CustomerMonth.month))) == {young}
    for each in (left, lately, *cases):
        await tx.refresh(each)
    # That they left and refused stays, so that nobody asks them again.
    assert (left.left_on, left.refused_at is None) == (old, False)
    assert (left.reason, left.tier, left.value_12m_fen, left.note) == ("unknown", None, None, None)
    assert (lately.reason, lately.tier) == ("price", Tier.A)
    assert [case.note for case in cases] == [None, "太贵"]
    # The customers are gone through again next month.
    assert (await service.sweep(database, now=wall()))["months"] == 0
