"""What became of visits: each figure with what it is of, live and as a night has added it up."""

from datetime import date, timedelta

import pytest

from app.auth.rules import Role
from app.sales import service
from app.sales.rules import SaleState
from app.sales.rules.funnel import FunnelStage, figures
from app.sales.service import News
from app.sales.service.funnel import add_up_day
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.sales import make_confirmed, make_door, make_draft
from tests.sales.conftest import slug

TODAY = date(2026, 3, 2)


@pytest.fixture
async def ended(tx, door, clock):
    """Three completed visits: one with a sale kept, one with a sale returned and a draft, one with
    nothing; and one that goes on."""
    kept = await make_confirmed(tx, door, now=clock.now())
    other = await make_door(tx, now=clock.now(), branch=door.branch)
    gone = await make_confirmed(tx, other, now=clock.now())
    await make_draft(tx, other, now=clock.now())
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
