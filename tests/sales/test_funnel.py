"""What became of visits: each figure with what it is of, live and as a night has added it up."""

from datetime import date, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.db import database_of, new_id
from app.core.jobs import Worker
from app.core.parameter_values import ParameterValue
from app.feasibility import jobs as feasibility
from app.sales import jobs as sales
from app.sales import service
from app.sales.models import Sale
from app.sales.rules import RETURN_DAYS, Line, SaleState
from app.sales.rules.funnel import FunnelStage, figures
from app.sales.service import News
from app.sales.service.funnel import add_up_day
from app.suggestions.rules.exploring import HOLDOUT
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.feasibility import make_install_door
from tests.make.sales import jobs_of, make_confirmed, make_door, make_draft
from tests.make.visits import LAT, LON, at, taken
from tests.ordering.delivering import set_numbers
from tests.sales.conftest import slug

TODAY = date(2026, 3, 2)


@pytest.fixture
async def ended(tx, door, clock):
    """Three completed visits: one with a sale kept, one with a sale returned and a draft, one with
    nothing; and one that goes on."""
    kept = await make_confirmed(tx, door, now=clock.now())
    other = await make_door(tx, now=clock.now(), branch=door.branch)
    await make_draft(tx, other, now=clock.now(), lines=[Line("TV-4K", 1)])
    gone = await make_confirmed(tx, other, now=clock.now())
    news = dict.fromkeys((kept.id, gone.id), News(SaleState.ACKNOWLEDGED))
    await service.follow_many(tx, news, at=clock.now())
    await tx.refresh(gone)
    await service.follow(tx, sale_id=gone.id, state=SaleState.CANCELLED, at=clock.now())
    idle = await make_door(tx, now=clock.now(), branch=door.branch)
    for each in (door, other, idle):
        each.order.state, each.order.completed_at = State.COMPLETED, clock.now()
        each.visit.ended_at, each.visit.outcome = clock.now(), "completed"
    await make_door(tx, now=clock.now(), branch=door.branch)
    await tx.flush()


@pytest.fixture
def asked(app, http, door):
    """Ask for the funnel as a supervisor, or as somebody else."""

    async def ask(by=None, **params):
        headers = bearer(app, by or caller_for(Role.SUPERVISOR, door.branch))
        return await http.get("/v1/sales/funnel", params=params, headers=headers)

    return ask


def numbers(answer):
    return {one["stage"]: (one["numerator"], one["denominator"]) for one in answer["figures"]}


async def test_each_figure_has_its_denominator_live_and_by_night(tx, ended, asked, clock):
    live = (await asked()).json()
    assert numbers(live) == {
        "eligible": (3, 3),
        "suggested": (0, 3),
        "shown": (0, 0),
        "pitched": (0, 0),
        "answered": (0, 0),
        "accepted": (0, 0),
        "put_together": (3, 3),
        "consented": (2, 3),
        "confirmed": (2, 3),
        "installed_in_visit": (0, 2),
        "acknowledged": (2, 2),
        "activated": (0, 2),
        "reversed_in_30_days": (1, 2),
        "visit_conversion_rate": (2, 3),
        "offer_acceptance_rate": (0, 0),
        "sale_reversal_rate": (1, 2),
    }
    assert live["figures"][-1]["share"] == 0.5
    assert [one["visits"] for one in live["excluded"]] == [0, 0]
    assert numbers((await asked(work_type="install")).json())["eligible"] == (0, 0)
    # A week later the day is what a night has made of it.
    clock.tick(timedelta(days=8))
    days = {"first_day": str(TODAY), "until_day": str(TODAY + timedelta(days=1))}
    assert numbers((await asked(**days)).json())["eligible"] == (0, 0)
    for _ in range(2):
        await add_up_day(tx, TODAY)
    assert numbers((await asked(**days)).json()) == numbers(live)


@pytest.mark.parametrize(("returned_after", "told_after", "counted"), [(29, 33, 1), (31, 33, 0)])
async def test_a_return_counts_by_the_day_on_which_it_was_and_not_when_it_is_told(
    post, ended, door, asked, clock, tx, returned_after, told_after, counted
):
    until = TODAY + timedelta(days=1)
    await set_numbers(tx, {RETURN_DAYS.name: 60})
    database_of(tx).cache.clear()
    kept = await tx.scalar(
        select(Sale).where(Sale.reversed_at.is_(None), Sale.confirmed_at.is_not(None))
    )
    returned_at = clock.now() + timedelta(days=returned_after)
    clock.tick(timedelta(days=told_after))
    told = {"external_id": "RET-1", "reason": "other", "returned_at": returned_at.isoformat()}
    crm = caller_for(Role.INTEGRATION, door.branch)
    assert (await post(f"/{kept.id}/reversal", told, by=crm)).status_code == 200
    await add_up_day(tx, TODAY)
    figures = numbers((await asked(first_day=str(TODAY), until_day=str(until))).json())
    # Of one of two it was known before that it came back.
    assert figures["reversed_in_30_days"] == (1 + counted, 2)


async def test_every_step_is_counted_and_an_install_at_once_is_no_visit_of_its_own(
    tx, app, http, clock, settings, database
):
    tx.add(ParameterValue(name=HOLDOUT.name, valid_from=date(2026, 2, 1), value=0))
    door = await make_install_door(tx, app, http, clock)
    worth = "UPDATE product_offering SET margin_12m_fen = 60000, expert_rate = 0.2"
    await tx.execute(text(f"{worth} WHERE code = 'SPEED-2000'"))
    await tx.commit()
    phone = (await door.arrive()).phone
    offers = (await phone.post(f"/visits/{door.visit_id}/suggestions")).json()["offers"]
    offer = next(one for one in offers if one["offering_code"] == "SPEED-2000")
    said = {"id": str(new_id()), "answer": "accepted"}
    taken(await phone.post(f"/suggestions/{offer['suggestion_id']}/answer", **said))
    sale = await door.sell("SPEED-2000")
    await phone.complete(door.visit_id)
    # What is sold beside the install comes of the same door, too.
    door.visit_id = new_id()
    body = {"id": str(door.visit_id), "work_order_id": sale["install_order_id"]}
    taken(await phone.post("/visits", **body))
    taken(await phone.post(f"/visits/{door.visit_id}/check-in", point=at(LON, LAT)))
    more = await door.sell("TV-4K")
    await phone.complete(door.visit_id, "installed")
    worker = Worker(settings, clock, database)
    await feasibility.order_completed(worker, order_id=sale["install_order_id"])
    assert await jobs_of(tx, "install.activated") == [sale["id"]]
    facts = {"work_order_id": sale["install_order_id"], "at": clock.now().isoformat()}
    await sales.install_activated(worker, sale_id=sale["id"], **facts)
    news = dict.fromkeys((UUID(sale["id"]), UUID(more["id"])), News(SaleState.ACKNOWLEDGED))
    await service.follow_many(tx, news, at=clock.now())
    await service.follow(tx, sale_id=UUID(more["id"]), state=SaleState.CANCELLED, at=clock.now())
    await tx.flush()

    async def counted(**params):
        boss = bearer(app, caller_for(Role.SUPERVISOR, door.branch))
        return numbers((await http.get("/v1/sales/funnel", params=params, headers=boss)).json())

    shown = len(offers)
    assert await counted() == {
        "eligible": (1, 1),
        "suggested": (1, 1),
        "shown": (shown, shown),
        "pitched": (1, shown),
        "answered": (1, shown),
        "accepted": (1, 1),
        "put_together": (2, 2),
        "consented": (2, 2),
        "confirmed": (2, 2),
        "installed_in_visit": (1, 2),
        "acknowledged": (2, 2),
        "activated": (1, 2),
        "reversed_in_30_days": (1, 2),
        "visit_conversion_rate": (1, 1),
        "offer_acceptance_rate": (1, shown),
        "sale_reversal_rate": (1, 2),
    }
    assert (await counted(work_type="install"))["eligible"] == (0, 0)


async def test_who_may_not_and_what_cannot_be_asked_is_refused(tx, door, asked):
    elsewhere = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    for by, params, refusal in [
        (door.seller, {}, "forbidden"),
        (elsewhere, {"org_unit_id": str(door.branch.id)}, "not-found"),
        (None, {"first_day": "2026-03-02", "until_day": "2026-03-02"}, "funnel-period-unfit"),
        (None, {"first_day": "2026-01-01", "until_day": "2026-05-01"}, "funnel-period-unfit"),
    ]:
        assert slug(await asked(by, **params)) == refusal


def test_what_is_not_eligible_is_left_out():
    sums = dict.fromkeys(
        [
            "visits_suggested",
            "offers_shown",
            "offers_pitched",
            "offers_answered",
            "offers_accepted",
            "visits_confirmed",
            "sales_put_together",
            "sales_consented",
            "sales_confirmed",
            "sales_installed",
            "sales_acknowledged",
            "sales_activated",
            "sales_reversed",
        ],
        1,
    )
    found = figures({**sums, "completed": 10, "no_customer": 2, "held_back": 3})
    assert [one.stage for one in found] == list(FunnelStage)
    assert (found[0].numerator, found[0].denominator) == (5, 10)
    assert (found[-3].numerator, found[-3].denominator) == (1, 5)
