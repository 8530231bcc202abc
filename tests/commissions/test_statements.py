"""From the visit to the statement: credited once, kept, taken back, capped, and seen by whom."""

import asyncio
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.auth.rules import Role
from app.commissions.models import CommissionDue, CommissionEntry
from app.commissions.rules.reckoning import MONTH_CAP
from app.commissions.service import sweeping
from app.core.parameter_values import ParameterValue
from app.sales import service
from app.sales.models import Sale, SaleItem
from app.sales.queries import items_of
from app.sales.rules import Line, ReversalReason, SaleState
from app.sales.service import News
from app.sales.service.undelivered import not_delivered
from tests.commissions.conftest import COMMISSION
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.catalog import make_offering
from tests.make.sales import make_confirmed, make_door

FIRST, REST = 1_999, 1_334
MARCH = {"month": "2026-03"}


async def swept(tx, now):
    while await sweeping.sweep(tx, now=now):
        pass


async def give_back(tx, sale, door, now):
    boss = caller_for(Role.SUPERVISOR, door.branch)
    await service.reverse(
        tx,
        sale_id=sale.id,
        external_id=f"RET-{sale.id}",
        reason=ReversalReason.CHANGED_MIND,
        returned_at=now,
        caller=boss,
        now=now,
    )
    await tx.flush()


async def give_one_back(tx, sale, item, door, now):
    await service.reverse_item(
        tx,
        sale_id=sale.id,
        item_id=item.id,
        external_id=f"RET-{item.id}",
        reason=ReversalReason.CHANGED_MIND,
        returned_at=now,
        caller=caller_for(Role.SUPERVISOR, door.branch),
        now=now,
    )
    await tx.flush()


async def test_an_item_that_comes_back_takes_its_own_share_and_the_rest_goes_with_the_sale(
    tx, door, clock
):
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    lines = (Line("SPEED-1000", 1), Line("TV-4K", 2))
    sale = await make_confirmed(tx, door, now=clock.now(), lines=lines)
    await service.follow_many(tx, {sale.id: News(SaleState.ACKNOWLEDGED)}, at=clock.now())
    await tx.refresh(sale)
    items = (await tx.scalars(select(SaleItem).order_by(SaleItem.position))).all()
    # It was earned and taken back before anybody swept, and swept twice.
    await give_one_back(tx, sale, items[1], door, clock.now())
    await swept(tx, clock.now())
    await swept(tx, clock.now())

    async def entries():
        rows = (await tx.scalars(select(CommissionEntry).order_by(CommissionEntry.id))).all()
        return [(one.kind, one.fen, one.sale_item_id) for one in rows]

    whole = COMMISSION + 2_000
    first, rest = whole * 60 // 100, whole - whole * 60 // 100
    left = first * COMMISSION // whole
    assert await entries() == [("earned", first, None), ("taken_back", left - first, items[1].id)]
    due = await tx.scalar(select(CommissionDue.fen))
    assert (left + due, due < rest) == (COMMISSION, True)
    # Thirty days later the rest of what stands is credited, and goes when all of it comes back.
    later = clock.now() + timedelta(days=30)
    await swept(tx, later)
    assert (await entries())[-1] == ("kept", due, None)
    await give_back(tx, sale, door, clock.now())
    await swept(tx, later)
    assert sum(fen for _, fen, _ in await entries()) == 0
    assert [item for *_, item in (await entries())[-2:]] == [None, None]


async def test_what_stands_is_paid_whichever_servers_were_told_of_what_came_back(
    tx, door, sell, clock
):
    """Their clocks may differ: of two things that came back, the first may bear the later time."""
    codes = ("TV-4K", "CLOUD", "SAFE")
    for thousands, code in enumerate(codes, 1):
        await make_offering(tx, code=code, category=code, commission_fen=1_000 * thousands)
    sale = await sell(lines=[Line(code, 1) for code in codes])
    television, cloud, _ = (await items_of(tx, [sale.id]))[sale.id]
    for item, ahead in ((cloud, 1), (television, 0)):
        await give_one_back(tx, sale, item, door, clock.now() + timedelta(seconds=ahead))
        await swept(tx, clock.now())
    paid = sum(fen for _, fen in await entries_of(tx))
    assert (paid, await tx.scalar(select(CommissionDue.fen))) == (1_800, 1_200)


async def test_a_statement_adds_up_to_the_ledger_and_to_the_sales(app, http, tx, door, sell, clock):
    kept, returned = await sell(quantity=2), await sell()
    await swept(tx, clock.now())
    await swept(tx, clock.now())
    await give_back(tx, returned, door, clock.now())
    await swept(tx, clock.now())
    later = clock.now() + timedelta(days=30)
    await swept(tx, later - timedelta(seconds=1))
    await swept(tx, later)
    await swept(tx, later)

    async def mine(month):
        answer = await http.get(
            "/v1/my/commission", params={"month": month}, headers=bearer(app, door.seller)
        )
        assert answer.status_code == 200
        return answer.json()

    march, april = await mine("2026-03"), await mine("2026-04")
    first = 2 * COMMISSION * 60 // 100
    assert march["total_fen"] == sum(one["fen"] for one in march["entries"]) == first
    assert (march["earned_fen"], march["taken_back_fen"]) == (first + FIRST, -FIRST)
    assert (march["kept_fen"], march["to_come_fen"]) == (0, 0)
    assert [one["kind"] for one in april["entries"]] == ["kept"]
    # By the sales: what was kept, at the commission of the catalogue it was sold from.
    worth = await tx.scalar(
        select(func.sum(SaleItem.commission_fen * SaleItem.quantity))
        .join(Sale, Sale.id == SaleItem.sale_id)
        .where(Sale.reversed_at.is_(None), Sale.technician_id == door.technician.id)
    )
    assert march["total_fen"] + april["total_fen"] == worth == 2 * COMMISSION
    told = await http.get(f"/v1/sales/{kept.id}/ledger", headers=bearer(app, door.seller))
    steps = [one["step"] for one in told.json()["steps"]]
    assert steps[-2:] == ["commission_earned", "commission_kept"]
    told = await http.get(f"/v1/sales/{returned.id}/ledger", headers=bearer(app, door.seller))
    assert told.json()["steps"][-1]["step"] == "commission_reversed"
    assert told.json()["steps"][-1]["facts"]["fen"] == -FIRST


async def test_what_was_kept_is_taken_back_too_and_all_of_it_comes_to_nothing(
    tx, door, sell, clock
):
    sale = await sell()
    await swept(tx, clock.now())
    later = clock.now() + timedelta(days=30)
    await swept(tx, later)
    await service.follow(tx, sale_id=sale.id, state=SaleState.CANCELLED, at=later)
    await tx.flush()
    await swept(tx, later)
    rows = (await tx.scalars(select(CommissionEntry).order_by(CommissionEntry.id))).all()
    assert [row.fen for row in rows] == [FIRST, REST, -FIRST, -REST]
    assert [row.counters_id for row in rows[2:]] == [row.id for row in rows[:2]]


async def ended(tx, sale, now):
    """Let the ordering system cancel an order."""
    await service.follow(tx, sale_id=sale.id, state=SaleState.CANCELLED, at=now)
    await tx.flush()


async def set_right(tx, sale, now):
    """Let a person judge that the order goes on after all."""
    await service.set_right(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=now)
    await tx.flush()


async def entries_of(tx):
    rows = (await tx.scalars(select(CommissionEntry).order_by(CommissionEntry.id))).all()
    return [(row.kind, row.fen) for row in rows]


@pytest.mark.parametrize("between", [True, False])
async def test_what_was_taken_for_an_order_that_had_not_ended_is_given_back(
    app, http, tx, door, sell, clock, between
):
    sale = await sell()
    await swept(tx, clock.now())
    await ended(tx, sale, clock.now())
    if between:
        await swept(tx, clock.now())
        assert await tx.scalar(select(func.count()).select_from(CommissionDue)) == 0
    await set_right(tx, sale, clock.now())
    for _ in range(2):
        await swept(tx, clock.now())
    found = await entries_of(tx)
    assert (
        found
        == [("earned", FIRST), ("taken_back", -FIRST), ("given_back", FIRST)][: 3 if between else 1]
    )
    # The rest of it comes when it would have come.
    later = clock.now() + timedelta(days=30)
    await swept(tx, later - timedelta(seconds=1))
    assert await entries_of(tx) == found
    await swept(tx, later)
    assert await entries_of(tx) == [*found, ("kept", REST)]
    statement = await http.get("/v1/my/commission", params=MARCH, headers=bearer(app, door.seller))
    march = statement.json()
    told = [march[f"{name}_fen"] for name in ("earned", "taken_back", "given_back", "total")]
    assert told == [FIRST, -FIRST * between, FIRST * between, FIRST]
    boss = bearer(app, caller_for(Role.SUPERVISOR, door.branch))
    (listed,) = (await http.get("/v1/commissions", params=MARCH, headers=boss)).json()[
        "technicians"
    ]
    assert (listed["sales"], listed["given_back_fen"], listed["total_fen"]) == (
        1,
        FIRST * between,
        FIRST,
    )


async def test_what_was_given_back_is_taken_once_more_when_the_order_does_end(
    tx, door, sell, clock
):
    sale = await sell()
    await swept(tx, clock.now())
    later = clock.now() + timedelta(days=30)
    await swept(tx, later)
    for _ in range(2):
        await ended(tx, sale, later)
        await swept(tx, later)
        await set_right(tx, sale, later)
        await swept(tx, later)
    assert sum(fen for _, fen in await entries_of(tx)) == COMMISSION
    # All at once, between two sweeps: what counts is how it stands in the end.
    await ended(tx, sale, later)
    await set_right(tx, sale, later)
    await ended(tx, sale, later)
    await swept(tx, later)
    found = await entries_of(tx)
    assert sum(fen for _, fen in found) == 0
    assert [kind for kind, _ in found].count("earned") == 1
    assert await tx.scalar(select(func.count()).select_from(CommissionDue)) == 0


@pytest.mark.parametrize("swept_between", [True, False])
async def test_a_thing_comes_back_of_what_was_given_back_by_its_own_share(
    tx, door, clock, swept_between
):
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    lines = (Line("SPEED-1000", 1), Line("TV-4K", 1), Line("TV-4K", 2))
    sale = await make_confirmed(tx, door, now=clock.now(), lines=lines)
    await service.follow_many(tx, {sale.id: News(SaleState.ACKNOWLEDGED)}, at=clock.now())
    await tx.refresh(sale)
    items = (await tx.scalars(select(SaleItem).order_by(SaleItem.position))).all()
    await give_one_back(tx, sale, items[1], door, clock.now())
    await swept(tx, clock.now())
    await ended(tx, sale, clock.now())
    await swept(tx, clock.now())
    await set_right(tx, sale, clock.now())
    if swept_between:
        await swept(tx, clock.now())
    await give_one_back(tx, sale, items[2], door, clock.now() + timedelta(seconds=1))
    await swept(tx, clock.now() + timedelta(seconds=1))
    credited = sum(fen for _, fen in await entries_of(tx))
    due = await tx.scalar(select(CommissionDue.fen))
    # Both parts together are what stands, to the fen.
    assert credited + due == COMMISSION
    assert credited == (COMMISSION + 3_000) * 60 // 100 * (COMMISSION + 2_000) // (
        COMMISSION + 3_000
    ) * COMMISSION // (COMMISSION + 2_000)
    await give_back(tx, sale, door, clock.now())
    await swept(tx, clock.now())
    assert sum(fen for _, fen in await entries_of(tx)) == 0


@pytest.mark.parametrize("swept_between", [True, False])
@pytest.mark.parametrize("acknowledged", [True, False])
async def test_what_was_not_delivered_of_a_sale_that_had_been_given_up_earns_nothing(
    tx, door, clock, acknowledged, swept_between
):
    """Its order turned up after all and ended in part, as which a person lets it count."""
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    lines = (Line("SPEED-1000", 1), Line("TV-4K", 1))
    sale = await make_confirmed(tx, door, now=clock.now(), lines=lines)
    if acknowledged:
        await service.follow(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now())
        await tx.flush()
        await swept(tx, clock.now())
    await ended(tx, sale, clock.now())
    if swept_between:
        await swept(tx, clock.now())
    await not_delivered(tx, sale_id=sale.id, positions=["2"], at=clock.now())
    await tx.flush()
    await swept(tx, clock.now())
    await service.set_right(tx, sale_id=sale.id, state=SaleState.COMPLETED, at=clock.now())
    await tx.flush()
    for _ in range(2):
        await swept(tx, clock.now())
    credited = sum(fen for _, fen in await entries_of(tx))
    first = (COMMISSION + 1_000) * 60 // 100 * COMMISSION // (COMMISSION + 1_000)
    due = await tx.scalar(select(CommissionDue.fen))
    assert (credited, due) == (first, COMMISSION - first)
    later = clock.now() + timedelta(days=30)
    await swept(tx, later)
    assert sum(fen for _, fen in await entries_of(tx)) == COMMISSION


async def test_what_is_given_back_is_never_cut_and_takes_its_room_again(tx, door, sell, clock):
    tx.add(ParameterValue(name=MONTH_CAP.name, valid_from=date(2026, 2, 1), value=3_000))
    await tx.flush()
    first = await sell()
    await swept(tx, clock.now())
    await ended(tx, first, clock.now())
    await swept(tx, clock.now())
    await sell()
    await swept(tx, clock.now())
    await set_right(tx, first, clock.now())
    await swept(tx, clock.now())
    assert sum(fen for _, fen in await entries_of(tx)) == 2 * FIRST
    await sell()
    await swept(tx, clock.now())
    assert (await entries_of(tx))[-1] == ("earned", 0)


async def test_a_price_list_of_later_changes_nothing_of_what_was_sold(tx, door, sell, clock):
    sale = await sell()
    await tx.execute(text("UPDATE product_offering SET valid_to = '2026-03-03'"))
    await make_offering(tx, valid_from=date(2026, 3, 3), commission_fen=9_999)
    await swept(tx, clock.now() + timedelta(days=2))
    entry = (await tx.scalars(select(CommissionEntry))).one()
    assert (entry.sale_id, entry.fen) == (sale.id, FIRST)


async def test_a_months_cap_cuts_and_says_so(app, http, tx, door, sell, clock):
    tx.add(ParameterValue(name=MONTH_CAP.name, valid_from=date(2026, 2, 1), value=3_000))
    await tx.flush()
    for _ in range(2):
        await sell()
    await swept(tx, clock.now())
    boss = bearer(app, caller_for(Role.SUPERVISOR, door.branch))
    listed = (await http.get("/v1/commissions", params=MARCH, headers=boss)).json()
    assert listed["total_fen"] == 3_000
    assert [(one["total_fen"], one["cut_fen"]) for one in listed["technicians"]] == [
        (3_000, 2 * FIRST - 3_000)
    ]
    statement = await http.get(f"/v1/commissions/{door.technician.id}", params=MARCH, headers=boss)
    assert statement.json()["total_fen"] == 3_000


async def test_nobody_reads_the_statement_of_others(app, http, tx, door, sell, clock):
    await sell()
    await swept(tx, clock.now())
    elsewhere = await make_org_unit(tx)
    stranger = await make_door(tx, now=clock.now(), branch=elsewhere)
    answer = await http.get("/v1/my/commission", headers=bearer(app, stranger.seller))
    assert (answer.json()["entries"], answer.json()["month"]) == ([], "2026-03-01")
    other = bearer(app, caller_for(Role.SUPERVISOR, elsewhere))
    assert (await http.get("/v1/commissions", headers=other)).json()["technicians"] == []
    for path in (f"/{door.technician.id}", f"?org_unit_id={door.branch.id}"):
        assert (await http.get(f"/v1/commissions{path}", headers=other)).status_code == 404
    forbidden = await http.get("/v1/commissions", headers=bearer(app, door.seller))
    assert forbidden.status_code == 403


@pytest.mark.parametrize(
    "change", ["UPDATE commission_entry SET fen = 1", "DELETE FROM commission_entry"]
)
async def test_an_entry_stays_what_it_is(tx, door, sell, clock, change):
    await sell()
    await swept(tx, clock.now())
    with pytest.raises(DBAPIError, match="append-only"):
        async with tx.begin_nested():
            await tx.execute(text(change))


async def test_two_sweeps_at_once_credit_each_sale_once(real_database, clock):
    async with real_database.begin() as tx:
        await make_offering(tx, commission_fen=COMMISSION)
        door = await make_door(tx, now=clock.now())
        sales = [(await make_confirmed(tx, door, now=clock.now())).id for _ in range(5)]
        news = dict.fromkeys(sales, News(SaleState.ACKNOWLEDGED))
        await service.follow_many(tx, news, at=clock.now())

    async def sweep():
        async with real_database.begin() as tx:
            await swept(tx, clock.now())

    # A third one is still writing: what it enters must not be passed over.
    async with real_database.begin() as tx:
        late = await make_confirmed(tx, door, now=clock.now())
        await service.follow_many(tx, {late.id: News(SaleState.ACKNOWLEDGED)}, at=clock.now())
        await asyncio.gather(sweep(), sweep())
    await asyncio.gather(sweep(), sweep())
    async with real_database.read() as read:
        found = await read.scalars(select(CommissionEntry.sale_id))
        assert sorted(found) == sorted([*sales, late.id])
        assert await read.scalar(select(func.count()).select_from(CommissionDue)) == 6
