"""The card for the door: what it counts, how old it is, and what is not known."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import event

from app.core.db import new_id
from app.core.errors import NotFound
from app.customers import queries, service
from app.customers.rules import Channel, InteractionKind
from tests.conftest import MONDAY_NINE
from tests.make.customers import (
    AS_OF,
    make_address,
    make_contact,
    make_customer,
    make_subscription,
)

TODAY = date(2026, 3, 2)  # in Shanghai
SALES, SERVICE, FAULT, COMPLAINT, FOLLOW_UP, _ = InteractionKind


def days_ago(days):
    return MONDAY_NINE - timedelta(days=days)


async def test_what_is_not_known_is_null_and_nothing_recorded_is_zero(tx):
    customer = await make_customer(tx)
    card = await queries.card(tx, customer.id, TODAY)
    assert card.payment.arrears_fen is None
    assert card.usage.monthly_usage_gb is None
    assert (card.tenure.activated_on, card.tenure.months) == (None, None)
    assert card.services.held == []
    assert card.contacts.sales_in_30_days == card.faults.in_90_days == 0
    assert card.contacts.last_sales_on is None
    blocks = (card.identity, card.services, card.tenure, card.payment, card.do_not_disturb)
    assert {block.known for block in blocks} == {(AS_OF, "crm")}


async def test_zero_owed_is_zero(tx):
    customer = await make_customer(tx, arrears_fen=0)
    assert (await queries.card(tx, customer.id, TODAY)).payment.arrears_fen == 0


@pytest.mark.parametrize(
    ("activated_on", "months"),
    [(date(2025, 3, 2), 12), (date(2025, 3, 3), 11), (date(2026, 3, 2), 0), (date(2020, 1, 1), 74)],
)
async def test_tenure_is_in_whole_months(tx, activated_on, months):
    customer = await make_customer(tx, activated_on=activated_on)
    assert (await queries.card(tx, customer.id, TODAY)).tenure.months == months


async def test_the_services_that_run_with_their_line_the_next_contract_end_first(tx):
    customer = await make_customer(tx)
    address = await make_address(tx, customer)
    old = datetime(2026, 1, 1, tzinfo=UTC)
    await make_subscription(tx, customer, service_number="tv", category="tv", as_of=old)
    await make_subscription(
        tx,
        customer,
        service_number="line",
        service_address_id=address.id,
        contract_ends_on=date(2026, 4, 1),
    )
    await make_subscription(tx, customer, service_number="over", ended_on=TODAY)
    await make_subscription(tx, customer, service_number="ahead", started_on=date(2026, 3, 3))
    card = await queries.card(tx, customer.id, TODAY)
    line, tv = card.services.held
    assert (line.service_number, line.contract_days_left, line.line_max_mbps) == ("line", 30, 1000)
    assert (tv.service_number, tv.contract_days_left, tv.line_max_mbps) == ("tv", None, None)
    assert card.services.known == (old, "crm")  # as old as the oldest that is shown


@pytest.mark.parametrize(
    ("kind", "days", "counted"),
    [
        (SALES, 0, {"sales_in_30_days", "sales_in_365_days"}),
        (SALES, 30, {"sales_in_30_days", "sales_in_365_days"}),
        (SALES, 31, {"sales_in_365_days"}),
        (SALES, 366, set()),
        (SERVICE, 30, {"others_in_30_days", "others_in_365_days"}),
        (FAULT, 31, {"others_in_365_days"}),
    ],
)
async def test_contacts_are_counted_by_kind_and_days(tx, kind, days, counted):
    customer = await make_customer(tx)
    await make_contact(tx, customer, at=days_ago(days), kind=kind)
    contacts = (await queries.card(tx, customer.id, TODAY)).contacts
    numbers = [name for name in contacts.__dataclass_fields__ if "_in_" in name]
    assert {name for name in numbers if getattr(contacts, name)} == counted


async def test_a_contact_counts_by_its_local_day(tx):
    """01:00 in Shanghai on 31 January is 30 days before 2 March; in UTC it is the day before."""
    customer = await make_customer(tx)
    await make_contact(tx, customer, at=datetime(2026, 1, 30, 17, 0, tzinfo=UTC))
    assert (await queries.card(tx, customer.id, TODAY)).contacts.sales_in_30_days == 1


async def test_faults_complaints_and_the_last_pitch(tx):
    customer = await make_customer(tx)
    for days in (10, 90, 91):
        await make_contact(tx, customer, at=days_ago(days), kind=FAULT)
    await make_contact(tx, customer, at=days_ago(20), kind=COMPLAINT)
    await make_contact(tx, customer, at=days_ago(20), kind=COMPLAINT, closed_at=days_ago(15))
    await make_contact(tx, customer, at=days_ago(40), outcome="accepted")
    await make_contact(tx, customer, at=days_ago(20), outcome="declined")
    card = await queries.card(tx, customer.id, TODAY)
    assert (card.faults.in_90_days, card.faults.last_on) == (2, date(2026, 2, 20))
    assert (card.faults.complaints_open, card.faults.complaint_closed_on) == (1, date(2026, 2, 15))
    assert (card.contacts.last_sales_on, card.contacts.last_sales_outcome) == (
        date(2026, 2, 10),
        "declined",
    )


async def test_the_last_mark_is_what_the_latest_follow_up_ended_with(tx):
    customer = await make_customer(tx)
    assert (await queries.card(tx, customer.id, TODAY)).contacts.last_mark is None
    for days, outcome in ((40, "5"), (20, "2")):
        await make_contact(tx, customer, at=days_ago(days), kind=FOLLOW_UP, outcome=outcome)
    contacts = (await queries.card(tx, customer.id, TODAY)).contacts
    assert (contacts.last_mark, contacts.last_mark_on) == (2, date(2026, 2, 10))
    # The CRM's own may have ended with a word.
    await make_contact(tx, customer, at=days_ago(1), kind=FOLLOW_UP, outcome="reached")
    assert (await queries.card(tx, customer.id, TODAY)).contacts.last_mark is None


async def test_a_contact_written_here_counts_at_once_and_makes_the_block_newer(tx):
    customer = await make_customer(tx)
    await service.record_contact(
        tx,
        customer_id=customer.id,
        at=MONDAY_NINE,
        channel=Channel.VISIT,
        kind=SALES,
        subject="SPEED-1000",
        outcome="declined",
    )
    contacts = (await queries.card(tx, customer.id, TODAY)).contacts
    assert contacts.sales_in_30_days == 1
    assert contacts.known.source == "yingwei"
    assert contacts.known.as_of > AS_OF


async def test_two_statements(tx, database):
    customer = await make_customer(tx)
    await make_subscription(tx, customer)
    statements = []

    def count(connection, cursor, statement, *rest):
        statements.append(statement)

    connection = await tx.connection()
    event.listen(connection.sync_connection, "before_cursor_execute", count)
    await queries.card(tx, customer.id, TODAY)
    assert len(statements) == 2


async def test_nobody_has_no_card(tx):
    with pytest.raises(NotFound):
        await queries.card(tx, new_id(), TODAY)
