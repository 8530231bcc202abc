"""What a technician may do with an offer is the same on the phone as at the server."""

from datetime import date, timedelta

import pytest
from sqlalchemy import text

from app.auth.keys import KeyRing
from app.catalog.rules import BusinessType
from app.lifecycle.rules import Stage, Tier
from app.suggestions.queries.choosing import forget
from app.sync.queries import feed
from app.sync.rules import Kind
from app.sync.service import turning
from seed.city import HERE
from seed.dated import load_levers
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import make_terms, make_toolkit
from tests.make.visits import make_assigned_order, make_phone, taken
from tests.sync.stores import Store

HALF_A_MINUTE = timedelta(seconds=30)


@pytest.fixture
async def phone(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


@pytest.fixture
async def customer(tx, phone):
    made = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
    await make_address(tx, made)
    await make_subscription(tx, made, contract_ends_on=date(2026, 4, 1))
    await make_offering(
        tx,
        code="RENEW",
        category="renewal",
        business_type=BusinessType.RETENTION,
        levers=["renewal"],
        margin_12m_fen=30_000,
        expert_rate=0.3,
    )
    return made


@pytest.fixture
async def visit_id(tx, phone, customer, clock):
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    # Renewals of the best tier are the account manager's.
    await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    await tx.commit()
    return await phone.restore(order)


@pytest.fixture
def may(tx, database, phone, clock):
    """Pull what is new after some time in which workers looked; tell what may be done with the
    only offer. A phone that begins anew is told the same."""
    store = Store(phone)

    async def may(by=timedelta()):
        clock.tick(by)
        forget(database)
        for _ in range(2):
            clock.tick(HALF_A_MINUTE)
            await turning.turn(tx, clock.now())
            while await turning.tell_of_offers(tx, clock.now()):
                pass
        await tx.commit()
        await store.pull()
        # Within one transaction, as here, everything is told again and again.
        await tx.execute(text("UPDATE sync_row SET xid = 0"))
        await tx.commit()
        fresh = Store(phone)
        await fresh.pull()
        assert fresh["suggestions"] == store["suggestions"]
        [row] = store["suggestions"].values()
        return row["on_site"]

    return may


async def online(phone, visit_id):
    [offer] = taken(await phone.post(f"/visits/{visit_id}/suggestions"))["offers"]
    return offer["on_site"]


async def test_the_best_tiers_renewal_is_a_lead_on_the_phone_until_its_terms_are_approved(
    tx, phone, customer, visit_id, may, clock, tmp_path
):
    await make_lifecycle(tx, customer, tier=Tier.A, stage=Stage.DECLINE, churn_score=None)
    assert await online(phone, visit_id) == await may() == "lead_only"
    await make_toolkit(tx, offers=["RENEW"])
    await make_terms(tx, customer, "RENEW", KeyRing.load(tmp_path / "keys"), now=clock.now())
    await tx.commit()
    assert await may() == await online(phone, visit_id) == "standard_only"
    # Their time is over without anybody's having done anything.
    assert await may(timedelta(days=8)) == "lead_only"


async def test_another_tier_and_another_rule_are_told_to_the_phone(
    tx, phone, customer, visit_id, may, clock
):
    standing = await make_lifecycle(
        tx, customer, tier=Tier.B, stage=Stage.DECLINE, churn_score=None
    )
    assert await online(phone, visit_id) == await may() == "standard_only"
    standing.tier = Tier.A
    await tx.commit()
    assert await may() == "lead_only"
    # The rule ends with a day, and nobody writes anything then.
    ends = {"until": clock.now().date() + timedelta(days=1)}
    await tx.execute(
        text("UPDATE suggestion_lever SET valid_to = :until WHERE lever = 'renewal'"), ends
    )
    assert await may() == "lead_only"
    assert await may(timedelta(days=1)) == await online(phone, visit_id) == "standard_only"


@pytest.fixture
def looked(tx, database, clock):
    """Let workers look after another rule was written or a new version released; list the orders
    whose offers phones are told of."""

    async def looked():
        await tx.execute(text("UPDATE sync_row SET xid = 0"))
        await tx.commit()
        forget(database)
        for _ in range(2):
            clock.tick(HALF_A_MINUTE)
            await turning.turn(tx, clock.now())
        while await turning.tell_of_offers(tx, clock.now()):
            pass
        await tx.commit()
        found = await tx.execute(
            text("SELECT row_id FROM sync_row WHERE kind = 'suggestion' AND xid > 0")
        )
        return [row_id for (row_id,) in found]

    return looked


async def test_another_rule_is_told_of_offers_that_can_be_on_a_phone_only(
    tx, phone, customer, visit_id, looked, clock
):
    await make_lifecycle(tx, customer, tier=Tier.A, stage=Stage.DECLINE, churn_score=None)
    await online(phone, visit_id)
    today, yesterday, long_ago = [
        await make_assigned_order(tx, phone.technician, customer, now=clock.now()) for _ in "123"
    ]
    await feed.touch(
        tx,
        [
            (phone.technician.id, Kind.SUGGESTION, order.id)
            for order in (today, yesterday, long_ago)
        ],
    )
    await looked()
    over = text("UPDATE work_order SET state = 'completed', completed_at = :at WHERE id = :id")
    for order, days in ((yesterday, 1), (long_ago, 4)):
        at = clock.now() - timedelta(days=days)
        await tx.execute(over, {"id": order.id, "at": at})
    await tx.execute(text("UPDATE suggestion_lever SET manager_tiers = '{}'"))
    told = set(await looked())
    assert {today.id, yesterday.id} <= told and long_ago.id not in told
    # The rule is as it was told.
    assert await looked() == []


async def test_what_special_terms_do_not_change_for_a_technician_is_told_to_no_phone(
    tx, phone, customer, visit_id, clock, tmp_path
):
    await make_lifecycle(tx, customer, tier=Tier.A, stage=Stage.DECLINE, churn_score=None)
    await online(phone, visit_id)
    await make_toolkit(tx, offers=["RENEW"])
    special, _ = await make_terms(
        tx, customer, "RENEW", KeyRing.load(tmp_path / "keys"), now=clock.now()
    )
    await tx.commit()
    store = Store(phone)
    await store.pull()

    async def told(change):
        await tx.execute(text("UPDATE sync_row SET xid = 0"))
        await tx.execute(
            text(f"UPDATE special_terms SET {change} WHERE id = :id"), {"id": special.id}
        )
        await tx.commit()
        return "suggestions" in await store.pull()

    assert await told("state = 'redeemed'")
    # Long after, the reason for which they were asked is forgotten.
    assert not await told("reason = ''")
    # What waits changes nothing until it is approved.
    assert not await told("state = 'waiting'")
    assert not await told("state = 'declined'")
    assert await told("state = 'approved'")
    assert await told("expires_at = expires_at + interval '1 day'")


async def test_a_release_tells_of_offers_only_where_a_rule_makes_them_the_account_managers(
    tx, phone, customer, visit_id, looked
):
    await make_lifecycle(tx, customer, tier=Tier.A, stage=Stage.DECLINE, churn_score=None)
    await online(phone, visit_id)
    await looked()
    released = text("UPDATE sync_unit SET managers = DEFAULT")
    await tx.execute(released)
    assert len(await looked()) == 1
    await tx.execute(text("UPDATE suggestion_lever SET manager_tiers = '{}'"))
    await looked()
    await tx.execute(released)
    assert await looked() == []


async def test_whoever_works_in_another_unit_than_their_accounts_is_told_by_their_accounts(
    tx, phone, customer, visit_id, may
):
    await make_lifecycle(tx, customer, tier=Tier.A, stage=Stage.DECLINE, churn_score=None)
    assert await online(phone, visit_id) == await may() == "lead_only"
    elsewhere = await make_org_unit(tx)
    phone.technician.org_unit_id = elsewhere.id
    await tx.commit()
    # The rule goes on only where the technician works, and the phone asks as its account.
    rule = text("UPDATE suggestion_lever SET org_path = :path WHERE lever = 'renewal'")
    await tx.execute(rule, {"path": elsewhere.path})
    assert await may() == "standard_only"
