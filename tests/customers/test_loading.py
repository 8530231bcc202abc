"""Customers, addresses, services and contacts come in by CSV, late, twice and out of order."""

from datetime import UTC, date, datetime

import pytest
from sqlalchemy import delete, func, select, text

from app.core.files import FileRefused
from app.customers.loading import (
    load_addresses,
    load_contacts,
    load_customers,
    load_subscriptions,
)
from app.customers.models import (
    AddressToLocate,
    Customer,
    Interaction,
    ServiceAddress,
    Subscription,
)
from tests.make.auth import make_org_unit

CUSTOMERS = "code,as_of,org_unit,name,phone,activated_on,do_not_disturb,arrears_fen\n"
WANG = "C1,2026-03-01T00:00:00+08:00,b01,王小明,15400001234,2023/5/1,,\n"
LI = "C2,2026-03-01T00:00:00+08:00,b01,李敏,15400001235,,是,1200\n"

ADDRESSES = "code,customer,standard_address,locality,building,lon,lat,coordsys,port_free\n"
HOME = "A1,C1,碧波路18号碧波园3栋1203室,碧波园,3栋,112.6,28.9,bd09,是\n"

SUBSCRIPTIONS = (
    "service_number,as_of,customer,address,offering_code,category,monthly_price_fen,"
    "speed_mbps,started_on,contract_ends_on\n"
)
LINE = "S1,2026-03-01T00:00:00+08:00,C1,A1,BB-300,broadband,9900,300,2023-05-01,2026-05-01\n"

CONTACTS = "external_id,customer,at,channel,kind,subject,outcome,closed_at\n"
COMPLAINT = "X1,C1,2026-02-01T10:00:00+08:00,phone,complaint,资费争议,,\n"


@pytest.fixture(autouse=True)
async def branch(tx):
    return await make_org_unit(tx, code="b01")


def counts(report):
    return report.inserted, report.updated, report.unchanged, report.refused


async def customer(tx, code="C1"):
    found = select(Customer).where(Customer.code == code)
    return await tx.scalar(found.execution_options(populate_existing=True))


async def test_all_four_files_and_all_four_again(tx):
    files = [
        (load_customers, [CUSTOMERS, WANG, LI], 2),
        (load_addresses, [ADDRESSES, HOME], 1),
        (load_subscriptions, [SUBSCRIPTIONS, LINE], 1),
        (load_contacts, [CONTACTS, COMPLAINT], 1),
    ]
    for load, lines, number in files:
        assert counts(await load(tx, lines)) == (number, 0, 0, 0)
    for load, lines, number in files:
        assert counts(await load(tx, lines)) == (0, 0, number, 0)
    wang, li = await customer(tx, "C1"), await customer(tx, "C2")
    assert (wang.activated_on, wang.do_not_disturb, wang.arrears_fen) == (
        date(2023, 5, 1),
        False,
        None,  # not known, which is not zero
    )
    assert (li.activated_on, li.do_not_disturb, li.arrears_fen) == (None, True, 1200)
    line = await tx.scalar(select(Subscription))
    address = await tx.scalar(select(ServiceAddress))
    assert (line.customer_id, line.service_address_id) == (wang.id, address.id)
    # BD-09 is kept as WGS-84, about a kilometre away.
    assert 0.008 < 112.6 - await tx.scalar(select(func.ST_X(ServiceAddress.point))) < 0.015


async def test_news_updates_and_old_news_does_not(tx):
    await load_customers(tx, [CUSTOMERS, WANG])
    newer = WANG.replace("2026-03-01", "2026-03-02").replace("王小明", "王晓明")
    assert counts(await load_customers(tx, [CUSTOMERS, newer])) == (0, 1, 0, 0)
    assert counts(await load_customers(tx, [CUSTOMERS, WANG])) == (0, 0, 1, 0)
    held = await customer(tx)
    assert (held.name, held.version) == ("王晓明", 2)

    await load_subscriptions(tx, [SUBSCRIPTIONS, LINE.replace("A1", "")])
    older = LINE.replace("2026-03-01", "2026-02-01").replace("9900", "5900").replace("A1", "")
    assert counts(await load_subscriptions(tx, [SUBSCRIPTIONS, older])) == (0, 0, 1, 0)
    assert await tx.scalar(select(Subscription.monthly_price_fen)) == 9900


BEFORE, AFTER = "2026-03-02T08:59:59+08:00", "2026-03-02T09:00:01+08:00"
HEARD = datetime(2026, 3, 2, 1, tzinfo=UTC)
PROTECTED, OPEN = (True, False), (False, True)


@pytest.mark.parametrize(
    ("heard_at", "held", "as_of", "told", "then"),
    [
        # What the customer asked for here outlives the files of a CRM that has not heard it.
        (HEARD, PROTECTED, BEFORE, OPEN, PROTECTED),
        (HEARD, PROTECTED, AFTER, OPEN, PROTECTED),
        (HEARD, PROTECTED, "2027-03-02T09:00:00+08:00", OPEN, PROTECTED),
        # What they lifted here stays so against an older file, and a later one may protect them.
        (HEARD, OPEN, BEFORE, PROTECTED, OPEN),
        (HEARD, OPEN, AFTER, PROTECTED, PROTECTED),
        # Of whom was never heard here the CRM alone knows.
        (None, PROTECTED, AFTER, OPEN, OPEN),
        (None, OPEN, AFTER, PROTECTED, PROTECTED),
    ],
)
async def test_a_file_may_protect_more_and_never_less_than_was_asked_for_here(
    tx, heard_at, held, as_of, told, then
):
    await load_customers(tx, [CUSTOMERS, WANG])
    wang = await customer(tx)
    wang.do_not_disturb, wang.personal_offers = held
    wang.do_not_disturb_said_at = wang.personal_offers_said_at = heard_at
    await tx.flush()
    heading = CUSTOMERS.replace("arrears_fen", "arrears_fen,personal_offers")
    flags = ["是" if each else "否" for each in told]
    line = WANG.replace("2026-03-01T00:00:00+08:00", as_of).replace(
        ",,\n", f",{flags[0]},,{flags[1]}\n"
    )
    await load_customers(tx, [heading, line])
    wang = await customer(tx)
    assert (wang.do_not_disturb, wang.personal_offers) == then


async def test_a_switch_that_a_file_leaves_empty_lifts_nothing_that_was_asked_for_here(tx):
    await load_customers(tx, [CUSTOMERS, WANG])
    wang = await customer(tx)
    wang.do_not_disturb, wang.do_not_disturb_said_at = True, HEARD
    await tx.flush()
    await load_customers(tx, [CUSTOMERS, WANG.replace("2026-03-01", "2026-03-09")])
    assert (await customer(tx)).do_not_disturb is True


async def test_a_complaint_is_closed_by_a_later_file(tx):
    await load_customers(tx, [CUSTOMERS, WANG])
    await load_contacts(tx, [CONTACTS, COMPLAINT])
    closed = COMPLAINT.replace(",,\n", ",解决,2026-02-03T10:00:00+08:00\n")
    assert counts(await load_contacts(tx, [CONTACTS, closed])) == (0, 1, 0, 0)
    found = select(Interaction).execution_options(populate_existing=True)
    assert (await tx.scalar(found)).outcome == "解决"


@pytest.mark.parametrize(
    ("load", "heading", "line", "field"),
    [
        (load_customers, CUSTOMERS, WANG.replace("b01", "b09"), "org_unit"),
        (load_customers, CUSTOMERS, WANG.replace("+08:00", ""), "as_of"),
        (load_customers, CUSTOMERS, WANG.replace(",,\n", ",,-1\n"), "arrears_fen"),
        (load_customers, CUSTOMERS, WANG.replace("15400001234", ""), "phone"),
        (load_addresses, ADDRESSES, HOME.replace("C1", "C9"), "customer"),
        (load_addresses, ADDRESSES, HOME.replace("bd09", ""), "coordsys"),
        (load_subscriptions, SUBSCRIPTIONS, LINE.replace("A1", "A9"), "address"),
        (load_subscriptions, SUBSCRIPTIONS, LINE.replace("9900", "99.00"), "monthly_price_fen"),
        (load_contacts, CONTACTS, COMPLAINT.replace("phone", "fax"), "channel"),
        (load_contacts, CONTACTS, COMPLAINT.replace("C1", "C9"), "customer"),
    ],
)
async def test_bad_lines_refuse_the_file(tx, load, heading, line, field):
    if load is not load_customers:
        await load_customers(tx, [CUSTOMERS, WANG])
    if load is load_subscriptions:
        await load_addresses(tx, [ADDRESSES, HOME])
    with pytest.raises(FileRefused) as refused:
        await load(tx, [heading, line])
    (fault,) = refused.value.facts["lines"]
    assert (fault["line"], fault["field"]) == (2, field)


async def test_many_lines_with_one_that_is_bad(tx):
    lines = [CUSTOMERS, *(WANG.replace("C1", f"C{n}") for n in range(3000)), LI.replace("b01", "")]
    with pytest.raises(FileRefused):
        await load_customers(tx, lines)
    assert await tx.scalar(select(func.count()).select_from(Customer)) == 0
    report = await load_customers(tx, lines, skip_refused=True)
    assert counts(report) == (3000, 0, 0, 1)


async def test_a_load_leaves_one_entry_in_the_trail(real_database):
    from app.auth import audit
    from app.auth.models import AuditEntry

    real_database.before_commit = audit.record
    async with real_database.begin() as tx:
        await make_org_unit(tx, code="b01")
    async with real_database.begin() as tx:
        await load_customers(tx, [CUSTOMERS, WANG, LI])
    async with real_database.begin() as tx:
        await load_customers(tx, [CUSTOMERS, WANG, LI])
    async with real_database.read() as read:
        changes = [
            entry.changes
            for entry in await read.scalars(select(AuditEntry).order_by(AuditEntry.created_at))
            if entry.changes[0]["table"] == "customer"
        ]
    assert [(change["operation"], change["count"]) for (change,) in changes] == [("load", 2)]


# --- whose grid has to be found -------------------------------------------------------------------


async def waiting(tx):
    """The codes of the addresses whose grid has to be found, which then no longer wait."""
    codes = await tx.scalars(
        select(ServiceAddress.code)
        .join(AddressToLocate, AddressToLocate.service_address_id == ServiceAddress.id)
        .order_by(ServiceAddress.code)
    )
    found = list(codes)
    await tx.execute(delete(AddressToLocate))
    return found


async def told(tx):
    jobs = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'addresses.loaded'"
    return await tx.scalar(text(jobs))


@pytest.fixture
async def at_home(tx):
    await load_customers(tx, [CUSTOMERS, WANG, LI])
    await load_addresses(tx, [ADDRESSES, HOME])
    assert (await waiting(tx), await told(tx)) == (["A1"], 1)


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        (HOME, []),
        (HOME.replace("是", "否"), []),
        (HOME.replace("112.6,", "112.7,"), ["A1"]),
        (HOME.replace("碧波园,", "湖畔里,"), ["A1"]),
        (HOME.replace(",3栋,", ",4栋,"), ["A1"]),
        (HOME.replace("18号", "20号"), ["A1"]),
        (HOME.replace("C1", "C2"), ["A1"]),
        (HOME.replace("A1", "A2"), ["A2"]),
    ],
)
async def test_an_address_that_is_new_or_moved_waits_for_its_grid(tx, at_home, line, waits):
    await load_addresses(tx, [ADDRESSES, line])
    assert await waiting(tx) == waits
    assert await told(tx) == 1 + bool(waits)


async def test_a_file_without_points_moves_nobody(tx, at_home):
    await load_addresses(tx, ["code,customer,standard_address,locality\n", HOME[:-22] + "\n"])
    assert await waiting(tx) == []


async def test_a_customer_of_another_branch_takes_the_address_along(tx, at_home):
    await make_org_unit(tx, code="b02")
    await load_customers(tx, [CUSTOMERS, WANG.replace("b01", "b02")])
    assert (await waiting(tx), await told(tx)) == (["A1"], 2)
