"""Who has left is told by a removal, the lifecycle, a file or a person; the best word stays."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from app.core.db import database_of, new_id
from app.core.files import FileRefused
from app.lifecycle.rules import ChangeKind, ChurnClass, Stage, Tier
from app.retention import jobs
from app.retention.loading import load_leavers, load_toolkits
from app.retention.models import FormerCustomer, RetentionToolkit
from app.retention.queries.toolkits import toolkits
from app.retention.queries.warnings import care_rules
from app.retention.rules import Cause, Handling
from app.retention.rules.cases import TOOLKIT_OF
from app.retention.rules.toolkits import Subject, toolkit_for
from app.retention.rules.warnings import Warned, decide, rules_for
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from seed.city import HERE
from seed.dated import load_care_rules
from tests.make.catalog import make_offering
from tests.make.customers import make_customer, make_subscription
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import make_leaver, make_warning
from tests.make.visits import make_assigned_order
from tests.retention.conftest import slug

DAY = timedelta(days=1)


async def gone(tx, customer):
    return await tx.scalar(
        select(FormerCustomer)
        .where(FormerCustomer.customer_id == customer.id)
        .order_by(FormerCustomer.id.desc())
        .execution_options(populate_existing=True)
    )


async def removed(tx, office, customer, clock, **fields) -> WorkOrder:
    order = await make_assigned_order(
        tx, office.land.people[0], customer, now=clock.now(), work_type=WorkType.REMOVE, **fields
    )
    order.state, order.completed_at = State.COMPLETED, clock.now()
    await tx.flush()
    return order


async def test_a_removal_of_the_last_line_makes_a_leaver_and_a_person_says_why(
    tx, office, worker, clock
):
    customer = await make_customer(tx, org_unit=office.branch)
    await make_lifecycle(tx, customer, tier=Tier.A, value_12m_fen=99)
    first = await make_subscription(tx, customer)
    second = await make_subscription(tx, customer)
    body = {"left_on": "2026-03-02", "reason": "price", "reachable": True}
    path = f"/customers/{customer.id}/leaving"
    refused = await office.ask("technician", "PUT", path, body)
    assert slug(refused) == (409, "not-a-former-customer")
    one = await removed(tx, office, customer, clock, service_number=first.service_number)
    await jobs.order_completed(worker, str(one.id))
    assert await gone(tx, customer) is None  # a line is left
    second.ended_on = date(2026, 3, 1)
    await tx.flush()
    for _ in range(2):
        await jobs.order_completed(worker, str(one.id))
    former = await gone(tx, customer)
    assert (former.reason, former.source, former.left_on) == (
        "unknown",
        "removal",
        date(2026, 3, 2),
    )
    assert (former.tier, former.value_12m_fen, former.work_order_id) == (Tier.A, 99, one.id)
    fetched = await removed(tx, office, await make_customer(tx), clock, source="yingwei")
    await jobs.order_completed(worker, str(fetched.id))
    assert len((await tx.scalars(select(FormerCustomer))).all()) == 1

    told = await office.ok("technician", "PUT", path, body)
    assert (told["reason"], told["source"], told["reachable"]) == ("price", "recorded", True)
    assert await office.ok("technician", "PUT", path, body) == told
    late = {**body, "left_on": "2026-03-03"}
    assert (await office.ask("technician", "PUT", path, late)).status_code == 422
    assert (await office.ask("stranger", "PUT", path, body)).status_code == 404
    csv = f"customer,left_on,reason\n{customer.code},2026-03-02,competitor\n"
    assert (await load_leavers(tx, csv.splitlines(True))).unchanged == 1
    (shown,) = (await office.ok("supervisor", "GET", "/former-customers"))["former_customers"]
    assert (shown["name"], shown["phone"], shown["reason"]) == ("王**", "154****1234", "price")
    assert (await office.ok("stranger", "GET", "/former-customers"))["former_customers"] == []


async def test_the_lifecycle_and_the_crms_file_tell_of_leavers(tx, office, worker, clock):
    left = await make_customer(tx, org_unit=office.branch, competitor="长宽")
    moved = await make_customer(
        tx,
        org_unit=office.branch,
        disconnected_on=date(2026, 2, 20),
    )
    await make_lifecycle(tx, moved, stage=Stage.EXIT)
    back = await make_customer(tx, org_unit=office.branch)
    await make_lifecycle(tx, left, stage=Stage.EXIT)
    await make_lifecycle(tx, back, stage=Stage.BUILD_UP)
    await make_subscription(tx, left, ended_on=date(2026, 2, 27))
    await make_leaver(tx, back, left_on=date(2026, 1, 1), now=clock.now())
    stage = {"kind": ChangeKind.STAGE, "warns": False}
    at = clock.now() - DAY
    await make_warning(tx, left, at=at, before="climax", after="exit", **stage)
    await make_warning(tx, moved, at=at, before="climax", after="exit", **stage)
    await make_warning(tx, back, at=at, before="exit", after="build_up", **stage)
    for _ in range(2):
        await jobs.look_around(worker)
    former = await gone(tx, left)
    assert (former.left_on, former.reason, former.source) == (
        date(2026, 2, 27),
        "competitor",
        "lifecycle",
    )
    assert former.competitor == "长宽"
    former = await gone(tx, moved)
    assert (former.left_on, former.reason) == (date(2026, 2, 20), "unknown")
    assert (await gone(tx, back)).returned_on == date(2026, 3, 1)

    lines = [
        "customer,left_on,reason,competitor,reachable\n",
        f"{left.code},2026-02-26,competitor,长宽,yes\n",
        f"{back.code},2026-01-01,price,,\n",
    ]
    report = await load_leavers(tx, lines)
    assert (report.inserted, report.updated, report.unchanged) == (0, 1, 1)
    former = await gone(tx, left)
    assert (former.left_on, former.competitor, former.reachable) == (
        date(2026, 2, 26),
        "长宽",
        True,
    )
    assert (await load_leavers(tx, lines)).unchanged == 2
    with pytest.raises(FileRefused):
        await load_leavers(tx, [lines[0], "NOBODY,2026-01-01,price,,\n"])


async def test_who_has_a_service_that_runs_has_not_left(tx, office, worker, clock):
    """A removal that is ordered is no leaving yet, and one that is cancelled never was one."""
    customer = await make_customer(tx, org_unit=office.branch)
    stands = await make_lifecycle(tx, customer, stage=Stage.EXIT, stage_rule="exit.removal_ordered")
    line = await make_subscription(tx, customer)
    await make_subscription(tx, customer, speed_mbps=None, ended_on=date(2026, 1, 1))
    ordered = {"kind": ChangeKind.STAGE, "warns": False, "before": "climax", "after": "exit"}
    await make_warning(tx, customer, at=clock.now() - DAY, **ordered)
    await jobs.look_around(worker)
    assert await gone(tx, customer) is None
    # The order is cancelled: nothing says that they were ever gone.
    stands.stage, stands.stage_rule = Stage.CLIMAX, "climax.mature"
    back = {**ordered, "before": "exit", "after": "climax"}
    await make_warning(tx, customer, at=clock.now(), **back)
    clock.tick(DAY)
    await jobs.look_around(worker)
    assert await gone(tx, customer) is None
    # Ordered again, and this time it is carried out, long after the stage was told.
    stands.stage, stands.stage_rule = Stage.EXIT, "exit.removal_ordered"
    await make_warning(tx, customer, at=clock.now(), **ordered)
    clock.tick(40 * DAY)
    await jobs.look_around(worker)
    assert await gone(tx, customer) is None
    line.ended_on = clock.now().date()
    stands.stage_rule, stands.computed_at = "exit.disconnected", clock.now()
    await tx.flush()
    await jobs.look_around(worker)
    former = await gone(tx, customer)
    assert former is not None and former.left_on == line.ended_on


async def test_the_demo_citys_toolkits_and_rules_are_loaded_once(tx):
    for code in ("RENEW-24", "FUSION-129", "COPPER-FIBRE", "WIFI-MESH", "SPEED-1000", "LINE-500"):
        await make_offering(tx, code=code)
    document = (HERE / "toolkits.yaml").read_text("utf-8")
    with pytest.raises(FileRefused) as refused:
        await load_toolkits(tx, document)
    assert {one["field"] for one in refused.value.facts["lines"]} == {"offers"}
    assert (await tx.scalars(select(RetentionToolkit))).all() == []
    for code in ("IPTV-4K", "MOBILE-SUB"):
        await make_offering(tx, code=code)
    assert (await load_toolkits(tx, document)).inserted == 9
    assert (await load_toolkits(tx, document)).unchanged == 9
    changed = document.replace("discount_percent: 40", "discount_percent: 35").replace(
        "valid_from: 2026-01-01", "valid_from: 2026-05-01"
    )
    assert (await load_toolkits(tx, changed)).inserted == 1
    rules = (HERE / "care_rules.yaml").read_text("utf-8")
    assert (await load_care_rules(tx, rules)).inserted == 8
    assert (await load_care_rules(tx, rules)).unchanged == 8

    # Whoever is worth more than they bring is kept, although their tier alone gives them nothing.
    database_of(tx).cache.clear()
    given, kits = await care_rules(tx), (await toolkits(tx)).values()
    today = date(2026, 3, 2)
    for tier, hidden, churn, cause, handling, kit in (
        (Tier.D, True, ChurnClass.HIGH, Cause.CHURN_HIGH, Handling.VISIT, "yj-keep"),
        (Tier.C, True, ChurnClass.HIGH, Cause.CHURN_HIGH, Handling.VISIT, "yj-keep-high"),
        (Tier.D, True, ChurnClass.MID, Cause.STAGE_DECLINE, Handling.CALL, "yj-keep"),
        (Tier.D, True, ChurnClass.LOW, Cause.TIER_FELL, Handling.CALL, "yj-care-hidden"),
        (Tier.D, False, ChurnClass.HIGH, Cause.CHURN_HIGH, None, "yj-keep"),
        (Tier.C, False, ChurnClass.HIGH, Cause.CHURN_HIGH, Handling.CALL, "yj-keep"),
        (Tier.A, False, ChurnClass.HIGH, Cause.CHURN_HIGH, Handling.VISIT, "yj-keep-high"),
    ):
        one = Warned(
            new_id(),
            new_id(),
            frozenset({cause}),
            Stage.DECLINE,
            tier,
            churn,
            hidden,
            1,
            None,
            True,
        )
        found = decide(
            [one],
            rules_for(given, "yj.ch.np.", today),
            {},
            a_week=9,
            holdout_percent=0,
            now=datetime(2026, 3, 2, 1, tzinfo=UTC),
        )
        assert [each.handling for each in found] == ([handling] if handling else [])
        subject = Subject(tier, churn, Stage.DECLINE, hidden=hidden)
        fits = toolkit_for(kits, TOOLKIT_OF[cause], subject, "yj.ch.np.", today)
        assert fits is not None and fits.code == kit
