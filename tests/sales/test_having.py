"""Nobody signs for what they certainly cannot have; what is not known is sold all the same."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select

from app.core.db import new_id
from app.customers.models import ServiceAddress, Subscription
from app.sales.models import Sale
from app.sales.rules import SaleState
from app.serviceability import queries as lines
from app.serviceability.rules import Said
from app.suggestions.models import SuggestionGate
from app.suggestions.rules import HeldBack
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import bearer
from tests.make.catalog import make_offering
from tests.make.consent import request_body
from tests.make.customers import make_subscription
from tests.make.sales import consent_body, jobs_of, make_door, make_draft, sale_body, shown
from tests.sales.conftest import slug

HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
async def things(tx, catalogue):
    """What else is sold here: Wi-Fi for who has a line, and two kinds of it that do not go
    together."""
    wifi: dict[str, Any] = {
        "category": "wifi",
        "requires": ["broadband"],
        "excludes": ["wifi", "wifi_repeater"],
    }
    await make_offering(tx, code="MESH", terminal_kind="wifi_repeater", **wifi)
    await make_offering(tx, code="FTTR", **wifi)
    await make_offering(tx, code="LINE-500", speed_mbps=500, excludes=["broadband"])
    await make_offering(tx, code="SPEED-500", speed_mbps=500, requires=["broadband"])


@pytest.fixture
def sell(post, door):
    """Put a sale of some offerings together."""

    async def ask(*codes, by=door, **more):
        items = [{"offering_code": code} for code in codes]
        return await post("", sale_body(by, *items), by=by.seller, **more)

    return ask


async def holds(tx, door, **service):
    await make_subscription(tx, door.customer, **service)


async def without_line(tx, door, **known):
    """Take the line away; `known` is what is recorded of the address."""
    await tx.execute(delete(Subscription))
    address = await tx.scalar(select(ServiceAddress))
    for name, value in known.items():
        setattr(address, name, value)
    await tx.flush()


async def slow(tx, door):
    (await tx.scalar(select(ServiceAddress))).max_speed_mbps = 300
    await tx.flush()


async def another_order(tx, door, *, work_type=WorkType.RELOCATE):
    other = WorkOrder(
        org_unit_id=door.branch.id,
        source="test",
        external_id=new_id().hex,
        content_hash="",
        work_type=work_type,
        state=State.RECEIVED,
        customer_id=door.customer.id,
        address="碧波园3栋2单元1203室",
        summary="移机",
        estimated_minutes=60,
        reported_at=door.order.reported_at,
        received_at=door.order.reported_at,
    )
    tx.add(other)
    await tx.flush()


IMPOSSIBLE = [
    (
        "MESH",
        "already_held",
        lambda tx, door: holds(tx, door, offering_code="OLD", category="wifi"),
    ),
    ("TV-4K", "already_held", lambda tx, door: holds(tx, door, offering_code="TV-4K")),
    ("MESH", "requires_other", without_line),
    ("TV-4K", "order_pending", another_order),
    ("SPEED-500", "line_too_slow", slow),
    ("LINE-500", "no_free_port", lambda tx, door: without_line(tx, door, port_free=False)),
]


@pytest.mark.parametrize(("code", "why", "given"), IMPOSSIBLE)
async def test_what_cannot_be_had_is_refused_as_feasibility_says_it(
    sell, door, tx, app, http, code, why, given
):
    """And the two speak of it with one voice: the same code, the same words, the same facts."""
    door.visit.restored_at = door.visit.checked_in_at
    await given(tx, door)
    refused = await sell(code)
    assert (refused.status_code, slug(refused)) == (409, "cannot-be-had")
    facts = refused.json()["facts"]
    assert (facts["offerings"], facts["codes"]) == ([code], [why])
    [no] = facts["noes"]
    assert no["words"] in refused.json()["detail"] and code in refused.json()["detail"]

    asked = await http.post(
        f"/v1/visits/{door.visit.id}/feasibility",
        json={"offering_codes": [code]},
        headers={**bearer(app, door.seller), "accept-language": "en"},
    )
    [said] = asked.json()["offerings"]
    assert not said["can_sell"]
    told = {one["code"]: one for one in said["noes"]}[why]
    assert told["blocks"] == "sale"
    assert {**no, "blocks": "sale"} == {**told, "offering_code": code}
    in_chinese = await sell(code, lang="zh")
    assert in_chinese.json()["facts"]["noes"][0]["words"] in in_chinese.json()["detail"]
    assert await tx.scalar(select(Sale.id)) is None


@pytest.mark.parametrize(("code", "why", "given"), IMPOSSIBLE)
async def test_what_cannot_be_had_any_more_is_not_agreed_to(
    post, door, tx, clock, code, why, given
):
    if code == "LINE-500":
        await without_line(tx, door)
    body = sale_body(door, {"offering_code": code})
    assert (await post("", body)).status_code == 201
    await given(tx, door)
    asked = await post(f"/{body['id']}/consent-requests", request_body())
    signed = consent_body(clock.now(), await shown(tx, UUID(body["id"])))
    refused = await post(f"/{body['id']}/confirm", signed)
    for answer in (asked, refused):
        assert (answer.status_code, slug(answer)) == (409, "cannot-be-had")
        assert answer.json()["facts"]["codes"] == [why]
    draft = await tx.get_one(Sale, UUID(body["id"]), populate_existing=True)
    assert (draft.state, await jobs_of(tx)) == (SaleState.DRAFT, [])


async def test_a_sale_that_comes_late_is_judged_alike(sell, tx, clock):
    late = await make_door(tx, now=clock.now(), ended=-HOUR)
    assert (await sell("MESH", by=late)).status_code == 201
    await holds(tx, late, offering_code="MESH", category="wifi")
    assert slug(await sell("MESH", by=late)) == "cannot-be-had"


async def test_a_gate_that_the_operator_has_switched_off_stands_in_no_way(sell, door, tx, clock):
    await another_order(tx, door)
    tx.add(
        SuggestionGate(
            code=HeldBack.ORDER_PENDING,
            version=1,
            org_path=door.branch.path,
            valid_from=clock.now().date(),
            in_force=False,
        )
    )
    await tx.flush()
    tx.info["database"].cache.pop("suggestions.gates", None)
    assert (await sell("TV-4K")).status_code == 201


# --- what is sold together ------------------------------------------------------------------------


async def test_one_thing_of_a_sale_may_bring_what_another_requires(sell, door, tx, clock):
    await without_line(tx, door)
    assert slug(await sell("MESH")) == "cannot-be-had"
    assert (await sell("MESH", "LINE-500")).status_code == 201


async def test_two_that_only_require_each_other_bring_nothing(sell, door, tx):
    """A faster line is of the category of lines, and makes none."""
    await without_line(tx, door)
    await make_offering(tx, code="SPEED-800", speed_mbps=800, requires=["broadband"])
    refused = await sell("SPEED-500", "SPEED-800", "MESH")
    assert refused.status_code == 409
    assert refused.json()["facts"]["offerings"] == ["SPEED-500", "SPEED-800", "MESH"]


@pytest.mark.parametrize(
    ("other", "held"), [({"code": "FTTR"}, ["wifi"]), ({"code": "BOX"}, ["wifi_repeater"])]
)
async def test_things_that_exclude_each_other_are_not_sold_together(sell, tx, other, held):
    await make_offering(tx, code="BOX", category="care", terminal_kind="wifi_repeater")
    refused = await sell("MESH", other["code"])
    assert slug(refused) == "cannot-be-had"
    of_mesh = refused.json()["facts"]["noes"][0]
    assert (of_mesh["code"], of_mesh["facts"]) == ("already_held", {"held": held})
    two = await sell(other["code"], other["code"])
    assert two.status_code == 201, two.text


# --- what is not known ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "good_for", "said", "recorded", "status"),
    [
        (HOUR, HOUR, Said(False, 1000), True, 409),
        (HOUR, HOUR, Said(True, 300), True, 409),
        (HOUR, HOUR, Said(True, 1000), False, 201),
        (HOUR, HOUR, Said(None, None), False, 201),
        # What was said is over: it may be otherwise by now.
        (5 * HOUR, -HOUR, Said(False, 300), True, 201),
        (5 * HOUR, -HOUR, Said(True, 1000), False, 201),
    ],
)
async def test_what_was_said_of_the_line_counts_as_long_as_it_holds(
    sell, door, tx, clock, asked, good_for, said, recorded, status
):
    await without_line(tx, door, port_free=recorded, checked_at=clock.now() - 30 * HOUR)
    address = await tx.scalar(select(ServiceAddress.id))
    then, until = clock.now() - asked, clock.now() + good_for
    await lines.keep(tx, {address: said}, now=then, until={address: until})
    assert (await sell("LINE-500")).status_code == status


async def test_a_line_of_which_nothing_is_known_is_sold(sell, door, tx):
    await without_line(tx, door, port_free=None, max_speed_mbps=None)
    assert (await sell("LINE-500")).status_code == 201
    await tx.execute(delete(ServiceAddress))
    assert (await sell("LINE-500")).status_code == 201


async def test_what_is_being_installed_may_be_just_what_is_missing(sell, door, tx):
    door.order.work_type = WorkType.INSTALL
    await without_line(tx, door, port_free=False)
    assert (await sell("MESH", "SPEED-500")).status_code == 201


# --- what stands only in the way of today ---------------------------------------------------------


async def test_what_cannot_be_installed_now_is_sold(sell, door, tx):
    """Nobody has the skill, the box or a grid for it, and the fault is not mended."""
    await make_offering(
        tx, code="BIG", skill="fttr", terminal_kind="ont_gateway", install_minutes=400
    )
    assert door.visit.restored_at is None
    assert (await sell("BIG")).status_code == 201
    draft = await make_draft(tx, door, now=door.visit.checked_in_at + HOUR)
    assert draft.state is SaleState.DRAFT
