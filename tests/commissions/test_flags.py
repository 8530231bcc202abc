"""What is flagged for a person, with its numbers; and that no money moves by it."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.commissions.models import CommissionEntry, CommissionFlag
from app.commissions.rules import FlagKind
from app.commissions.rules.flags import LEAST_MINUTES, LEAST_PEER_SALES, LEAST_SALES, RESOLD_DAYS
from app.commissions.rules.reckoning import MONTH_CAP
from app.commissions.service import flagging
from app.core.db import database_of
from app.core.parameter_values import ParameterValue
from app.sales import service
from app.sales.queries import items_of
from app.sales.rules import Line, SaleState
from app.sales.service.undelivered import not_delivered
from tests.commissions.test_statements import give_back, give_one_back, swept
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.catalog import make_offering
from tests.make.sales import make_door


@pytest.fixture
def boss(app, door):
    """A supervisor of the technician's branch."""
    return {**bearer(app, caller_for(Role.SUPERVISOR, door.branch)), "accept-language": "en"}


async def test_what_is_sold_anew_after_it_came_back_is_flagged_and_paid_all_the_same(
    app, http, tx, door, sell, clock, boss
):
    first = await sell()
    await swept(tx, clock.now())
    await give_back(tx, first, door, clock.now())
    clock.tick(timedelta(minutes=30))
    second = await sell()
    for _ in range(2):
        await swept(tx, clock.now())
    (flag,) = (await http.get("/v1/commission-flags", headers=boss)).json()["flags"]
    assert (flag["kind"], flag["sale_id"]) == ("resold", str(second.id))
    assert flag["facts"]["earlier_sale_id"] == str(first.id)
    assert flag["words"] == "Sold again to a customer who had cancelled it"
    path = f"/v1/commission-flags/{flag['id']}/review"
    verdict = {"verdict": "cleared", "reason": "The router was broken and was replaced."}
    for _ in range(2):
        answer = await http.post(path, json=verdict, headers=boss)
        assert (answer.status_code, answer.json()["state"]) == (200, "cleared")
    other = await http.post(path, json={**verdict, "verdict": "upheld"}, headers=boss)
    assert other.json()["type"].endswith("flag-reviewed-otherwise")
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    assert (await http.post(path, json=verdict, headers=stranger)).status_code == 404
    assert await tx.scalar(select(func.count()).select_from(CommissionEntry)) == 3


async def test_what_came_back_alone_and_is_sold_anew_is_flagged(tx, door, sell, clock):
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    line, television = Line("SPEED-1000", 1), Line("TV-4K", 1)
    first = await sell(lines=(line, television))
    await swept(tx, clock.now())
    item = (await items_of(tx, [first.id]))[first.id][1]
    await give_one_back(tx, first, item, door, clock.now())
    clock.tick(timedelta(days=2))
    # What was kept can be had a second time.
    await sell(lines=(line,))
    again = await sell(lines=(television,))
    await swept(tx, clock.now())
    flag = (await tx.scalars(select(CommissionFlag))).one()
    assert (flag.kind.value, flag.sale_id) == ("resold", again.id)
    facts = {"earlier_sale_id": str(first.id), "offering_code": "TV-4K", "days": 2}
    assert flag.facts == facts


@pytest.mark.parametrize("rest_came_back", [False, True])
async def test_what_was_never_delivered_may_be_sold_anew(tx, door, sell, clock, rest_came_back):
    """Their warehouse had no box, say; that the customer gave the rest back changes nothing."""
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    television = Line("TV-4K", 1)
    first = await sell(lines=(Line("SPEED-1000", 1), television))
    await not_delivered(tx, sale_id=first.id, positions=["2"], at=clock.now())
    await service.follow(tx, sale_id=first.id, state=SaleState.COMPLETED, at=clock.now())
    if rest_came_back:
        await give_back(tx, first, door, clock.now())
    clock.tick(timedelta(days=2))
    await sell(lines=(television,))
    await swept(tx, clock.now())
    assert (await tx.scalars(select(CommissionFlag))).all() == []


@pytest.mark.parametrize("of_the_branch", [LEAST_MINUTES, RESOLD_DAYS])
async def test_what_is_flagged_goes_by_the_numbers_of_where_was_sold(
    tx, door, sell, clock, of_the_branch
):
    since = date(2026, 2, 1)
    tx.add(
        ParameterValue(
            name=of_the_branch.name, org_path=door.branch.path, valid_from=since, value=0
        )
    )
    await tx.flush()
    database_of(tx).cache.clear()
    first = await sell()
    await give_back(tx, first, door, clock.now())
    clock.tick(timedelta(days=2))
    await sell()
    hasty = await make_door(
        tx, now=clock.now(), branch=door.branch, checked_in=timedelta(seconds=-30)
    )
    await sell(at=hasty)
    await swept(tx, clock.now())
    flagged = {flag.kind for flag in await tx.scalars(select(CommissionFlag))}
    assert flagged == {
        FlagKind.RESOLD if of_the_branch is LEAST_MINUTES else FlagKind.NO_TIME_ON_SITE
    }


async def test_a_sale_with_hardly_any_time_at_the_door_is_flagged(tx, door, sell, clock):
    hasty = await make_door(
        tx, now=clock.now(), branch=door.branch, checked_in=timedelta(seconds=-30)
    )
    await sell()
    sale = await sell(at=hasty)
    await swept(tx, clock.now())
    flag = (await tx.scalars(select(CommissionFlag))).one()
    assert (flag.kind.value, flag.sale_id) == ("no_time_on_site", sale.id)
    assert flag.facts == {"seconds": 30, "least_seconds": 120}


@pytest.mark.parametrize("back", ["whole", "in_part", "at_the_cap"])
async def test_returns_above_the_peers_are_flagged_once_a_month(tx, door, sell, clock, back):
    numbers = {LEAST_SALES.name: 3, LEAST_PEER_SALES.name: 3}
    if back == "at_the_cap":
        numbers[MONTH_CAP.name] = 0
    for name, value in numbers.items():
        tx.add(ParameterValue(name=name, valid_from=date(2026, 2, 1), value=value))
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    peer = await make_door(tx, now=clock.now(), branch=door.branch)
    for _ in range(3):
        sale = await sell(lines=(Line("SPEED-1000", 1), Line("TV-4K", 1)))
        if back == "in_part":
            item = (await items_of(tx, [sale.id]))[sale.id][1]
            await give_one_back(tx, sale, item, door, clock.now())
        else:
            await give_back(tx, sale, door, clock.now())
        await sell(at=peer)
    await swept(tx, clock.now())
    for day in range(2):
        await flagging.flag_returns(tx, now=clock.now() + timedelta(days=day))
        await tx.flush()
    flags = await tx.scalars(select(CommissionFlag).where(CommissionFlag.sale_id.is_(None)))
    flag = flags.one()
    assert flag.technician_id == door.technician.id
    numbers = {"sold": 3, "returned": 3, "peers_sold": 3, "peers_returned": 0}
    assert flag.facts == {**numbers, "since": "2026-01-01"}


async def test_what_the_ordering_system_did_not_deliver_has_not_come_back(tx, door, sell, clock):
    for name in (LEAST_SALES.name, LEAST_PEER_SALES.name):
        tx.add(ParameterValue(name=name, valid_from=date(2026, 2, 1), value=3))
    await make_offering(tx, code="TV-4K", category="tv", commission_fen=1_000)
    peer = await make_door(tx, now=clock.now(), branch=door.branch)
    for _ in range(3):
        sale = await sell(lines=(Line("SPEED-1000", 1), Line("TV-4K", 1)))
        await not_delivered(tx, sale_id=sale.id, positions=["2"], at=clock.now())
        turned_down = await sell()
        await service.follow(
            tx, sale_id=turned_down.id, state=SaleState.REJECTED, at=clock.now(), reason="no port"
        )
        await sell(at=peer)
    await swept(tx, clock.now())
    await flagging.flag_returns(tx, now=clock.now())
    assert (await tx.scalars(select(CommissionFlag))).all() == []
