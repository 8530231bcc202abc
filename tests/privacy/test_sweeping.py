"""What has been kept long enough goes, in batches, and nothing that is younger."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import IntegrityError

from app.auth import audit
from app.auth.models import AuditEntry
from app.core.clock import wall
from app.core.db import fetched, first_id_at, new_id
from app.core.jobs import Worker
from app.core.nights import Night
from app.core.parameter_values import ParameterValue
from app.customers.models import ContactConsent, CustomerMonth, Interaction
from app.customers.rules import InteractionKind
from app.lifecycle.models import ChurnSample
from app.lifecycle.rules import Tier
from app.privacy import jobs, queries, service
from app.privacy.queries import sweeping
from app.privacy.rules.periods import PERIODS, What
from app.privacy.service.sweeping import work_of
from app.retention.models import RetentionCase
from app.retention.rules import Arm, CaseState, Cause, Handling
from app.suggestions.models import (
    CompetitorNote,
    SalesLead,
    SuggestionAnswer,
    SuggestionDecision,
    SuggestionOutcome,
)
from app.suggestions.rules.leads import LeadState
from app.visits.models import Visit
from tests.make.customers import make_contact, make_customer
from tests.make.privacy import ODD_IDS, aged, ago
from tests.make.retention import make_leaver
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order, make_phone


async def test_contacts_and_audit_entries_go_when_they_are_old(tx, database, monkeypatch):
    monkeypatch.setattr(sweeping, "ROUND", 2)
    database.before_commit = audit.record
    customer = await make_customer(tx)
    for days in (1200, 1190, 1180, 1100, 1000):
        await make_contact(tx, customer, at=wall(), id=aged(days), external_id=f"{days}")
    complaint = InteractionKind.COMPLAINT
    await make_contact(
        tx, customer, at=wall(), id=aged(1200), external_id="C", kind=complaint, closed_at=None
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
    order = await make_assigned_order(tx, phone.technician, now=clock.now(), created_at=ago(800))
    young = await make_assigned_order(tx, phone.technician, now=clock.now())
    visit_id = await phone.restore(order)
    await phone.complete(visit_id)
    await tx.execute(text("UPDATE visit SET created_at = :at"), {"at": ago(31)})
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
    left = await make_leaver(tx, customer, created_at=ago(1100), refused_at=wall(), **gone)
    lately = await make_leaver(tx, other, created_at=ago(1000), **gone)
    cases = [
        RetentionCase(
            created_at=ago(1100),
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


@pytest.mark.parametrize("made_by", ODD_IDS)
async def test_how_old_a_row_is_says_the_day_on_which_we_heard_of_it(tx, database, made_by):
    """Phones make the ids of some rows, by whatever clock they have."""
    customer, technician = await make_customer(tx), await make_technician(tx)
    for days, each in ((10, ODD_IDS[made_by]), (1500, UUID(int=ODD_IDS[made_by].int + 1))):
        common: dict[str, Any] = {
            "id": each,
            "created_at": ago(days),
            "customer_id": customer.id,
        }
        said = {"technician_id": technician.id, "at": ago(days)}
        tx.add_all(
            [
                SuggestionAnswer(
                    **common, **said, suggestion_id=new_id(), answer="accepted", device_at=wall()
                ),
                CompetitorNote(**common, **said, org_unit_id=customer.org_unit_id, who="别家"),
                ContactConsent(
                    **common, channels=["sms"], state="withdrawn", said_at=ago(days), device_at=None
                ),
            ]
        )
        await make_contact(tx, customer, at=wall(), id=each, created_at=ago(days))
    await tx.flush()
    await tx.execute(text("UPDATE competitor_note SET created_at = created_at + interval '1 year'"))
    ended = await service.sweep(database, now=wall())
    named = ("answers", "consents", "competitors", "contacts_written_here")
    assert [ended[name] for name in named] == [1, 1, 1, 1]
    for kind in (SuggestionAnswer, ContactConsent, CompetitorNote, Interaction):
        (left,) = await tx.scalars(select(kind.id))
        assert left == ODD_IDS[made_by]


async def test_the_trouble_of_one_period_does_not_hold_up_the_others(
    tx, settings, clock, database, monkeypatch
):
    """What could not be ended is told, tried again with the next round, and is alone in that."""
    customer = await make_customer(tx)
    await make_contact(tx, customer, at=wall(), created_at=ago(1200))
    now = wall()
    clock.set(now)
    worker = Worker(settings, clock, database)
    first, swept = PERIODS[0], sweeping.swept

    async def fails(tx, period, *rest):
        if period is first:
            await tx.execute(text("SELECT 1 / 0"))
        return await swept(tx, period, *rest)

    async def done():
        return set(await tx.scalars(select(Night.work).where(Night.done_at == clock.now())))

    monkeypatch.setattr(queries, "swept", fails)
    with pytest.raises(service.NotAllForgotten, match=first.name):
        await jobs.forget(worker)
    assert await done() == {work_of(period) for period in PERIODS[1:]}
    assert await tx.scalar(select(func.count()).select_from(Interaction)) == 0
    monkeypatch.setattr(queries, "swept", swept)
    clock.tick(timedelta(minutes=1))
    await jobs.forget(worker)
    assert await done() == {work_of(first)}


async def test_a_longer_time_keeps_more_and_holds_up_nothing_else(tx, settings, clock, database):
    clock.set(wall())
    await jobs.forget(Worker(settings, clock, database))
    name, since = PERIODS[-1].days.name, wall().date() - timedelta(days=9)
    tx.add(ParameterValue(name=name, valid_from=since, value=3650))
    database.cache.clear()
    await make_contact(tx, await make_customer(tx), at=wall(), created_at=ago(1200))
    clock.tick(timedelta(days=1))
    await jobs.forget(Worker(settings, clock, database))
    assert await tx.scalar(select(func.count()).select_from(Interaction)) == 0


@pytest.mark.parametrize("made_by", ODD_IDS)
async def test_what_is_not_over_yet_is_forgotten_when_it_is(
    tx, app, http, clock, database, made_by
):
    """A visit that goes on when its position comes of age loses it once it has ended."""
    phone = await make_phone(tx, app, http, clock)
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    visit_id = await phone.restore(order)
    moved = text("UPDATE visit SET id = :odd, created_at = :at WHERE id = :id").bindparams(
        odd=ODD_IDS[made_by], at=ago(40), id=visit_id
    )
    await tx.execute(moved)
    await tx.execute(text("UPDATE work_order SET created_at = :at"), {"at": ago(800)})
    lead = SalesLead(
        created_at=ago(800),
        org_unit_id=order.org_unit_id,
        customer_id=(await make_customer(tx)).id,
        suggestion_id=new_id(),
        offering_code="TV-4K",
        technician_id=phone.technician.id,
        handed_to="shop",
        note="晚上联系",
        state="open",
        at=wall(),
        device_at=wall(),
        changed_at=wall(),
    )
    tx.add(lead)
    await tx.flush()
    named = ("positions", "order_contacts", "leads")
    ended = await service.sweep(database, now=wall())
    assert [ended[name] for name in named] == [0, 0, 0]
    await phone.complete(ODD_IDS[made_by])
    lead.state = LeadState.LOST
    await tx.flush()
    ended = await service.sweep(database, now=wall())
    assert [ended[name] for name in named] == [1, 1, 1]
    ended = await service.sweep(database, now=wall())
    assert [ended[name] for name in named] == [0, 0, 0]


async def test_a_round_reads_what_is_due_and_nothing_that_was_emptied_before(tx, database):
    """However many rows were emptied: they have left the index that the night goes through."""
    await tx.execute(text("SET LOCAL enable_seqscan = off"))  # the tables of a test are small
    for period in PERIODS:
        if period.what is not What.COLUMNS:
            continue
        plan = await fetched(
            tx,
            f"EXPLAIN SELECT id FROM {period.table} WHERE ({period.holds})"
            " AND created_at < now() AND (created_at, id) > (now(), %(id)s)"
            " ORDER BY created_at, id LIMIT 10",
            {"id": new_id()},
        )
        assert f"ix_{period.table}_swept" in str(plan)
