"""What was sold in a visit, and waits for its install, stands in the way of nothing else there."""

from datetime import date, timedelta

import pytest
from sqlalchemy import delete, text, update

from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.customers.models import Subscription
from app.suggestions.rules.exploring import HOLDOUT
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.catalog import make_offering
from tests.make.workorders import make_work_order
from tests.sales.conftest import slug


@pytest.fixture
async def box(tx, door):
    """A box for the television, for who has a line; fitted in a quarter of an hour."""
    await make_offering(
        tx,
        code="TV-BOX",
        category="tv",
        requires=["broadband"],
        skill="fibre",
        install_minutes=15,
    )
    await tx.commit()


@pytest.fixture
async def line_sold(door, box):
    """A faster line was sold in the visit, and its install is the technician's own by now."""
    sale = await door.sell("SPEED-2000")
    assert sale["install_order_id"] is not None
    return sale


async def put_together(door, code, **item):
    return await door.phone.http.post(
        "/v1/sales",
        json={
            "id": str(new_id()),
            "visit_id": str(door.visit_id),
            "items": [{"offering_code": code, **item}],
        },
        headers={**door.phone.headers, "accept-language": "en"},
    )


def codes(said):
    return [no["code"] for no in said["noes"]]


async def test_a_line_and_then_a_box_are_sold_and_installed_in_one_visit(door, line_sold):
    said = await door.answer("TV-BOX")
    assert (said["can_sell"], said["can_install_now"]) == (True, True)
    second = await door.sell("TV-BOX")
    assert second["install_order_id"] not in (None, line_sold["install_order_id"])


async def test_what_the_first_sale_holds_is_gone_for_the_second(door, line_sold, tx):
    before = (await door.feasibility("TV-BOX")).json()["free_minutes"]
    await make_offering(
        tx, code="CAMERA", category="camera", install_minutes=15, terminal_kind="ont_gateway"
    )
    await make_offering(tx, code="LONG", category="care", install_minutes=int(before) + 1)
    await tx.commit()
    camera = await door.answer("CAMERA")
    assert (camera["can_sell"], codes(camera)) == (True, ["not_in_the_van"])
    assert camera["serial_numbers"] == []
    assert (await door.answer("LONG"))["noes"] != []
    await door.sell("TV-BOX")
    after = (await door.feasibility("CAMERA")).json()["free_minutes"]
    assert after <= before - 15


async def test_a_new_line_brings_what_the_box_needs_and_keeps_out_another_one(door, box, tx):
    await tx.execute(delete(Subscription))
    await make_offering(tx, code="LINE", install_minutes=40)
    await make_offering(
        tx, code="LINE-B", category="leased", speed_mbps=500, excludes=["broadband"]
    )
    await tx.commit()
    assert slug(await put_together(door, "TV-BOX")) == "cannot-be-had"
    await door.sell("LINE")
    assert (await put_together(door, "TV-BOX")).status_code == 201
    again = await put_together(door, "LINE-B")
    assert again.json()["facts"]["codes"] == ["order_pending"]


@pytest.mark.parametrize("code", ["SPEED-2000", "SPEED-1000"])
async def test_the_same_thing_or_one_of_its_kind_is_not_sold_twice(door, line_sold, tx, code):
    await make_offering(tx, code="SPEED-1000", requires=["broadband"], speed_mbps=1000)
    await tx.commit()
    said = await door.answer(code)
    assert (said["can_sell"], codes(said)[0]) == (False, "order_pending")
    refused = await put_together(door, code)
    assert slug(refused) == "cannot-be-had"
    assert refused.json()["facts"]["codes"] == ["order_pending"]


async def test_an_order_of_another_channel_stands_in_the_way_of_everything(
    door, line_sold, tx, clock
):
    await make_work_order(
        tx,
        now=clock.now(),
        org_unit=door.branch,
        customer_id=door.customer.id,
        work_type=WorkType.RELOCATE,
    )
    await tx.commit()
    assert "order_pending" in codes(await door.answer("TV-BOX"))
    refused = await put_together(door, "TV-BOX")
    assert refused.json()["facts"]["codes"] == ["order_pending"]


async def test_a_sale_that_arrives_after_the_visit_is_judged_alike(door, line_sold, clock, tx):
    """The install may be in other hands by then: it was sold in this visit all the same."""
    await door.phone.complete(door.visit_id)
    await tx.execute(
        update(WorkOrder)
        .where(WorkOrder.id == line_sold["install_order_id"])
        .values(holder_id=None, state=State.LOCATED)
    )
    await tx.commit()
    clock.tick(timedelta(hours=1))
    assert (await put_together(door, "TV-BOX")).status_code == 201
    assert slug(await put_together(door, "SPEED-2000")) == "cannot-be-had"


async def test_what_was_suggested_is_sold_beside_it(door, box, tx):
    """The gates are asked again for what was suggested, and answer alike."""
    tx.add(ParameterValue(name=HOLDOUT.name, valid_from=date(2026, 2, 1), value=0))
    worth = "UPDATE product_offering SET margin_12m_fen = 60000, expert_rate = 0.2"
    await tx.execute(text(f"{worth} WHERE code = 'TV-BOX'"))
    await tx.commit()
    offers = (await door.phone.post(f"/visits/{door.visit_id}/suggestions")).json()["offers"]
    [offer] = [one for one in offers if one["offering_code"] == "TV-BOX"]
    await door.sell("SPEED-2000")
    taken = await put_together(door, "TV-BOX", suggestion_id=offer["suggestion_id"])
    assert taken.status_code == 201, taken.text
