"""Warnings become orders and calls, lists become cases, and each ends with what was said."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from app.auth.models import AuditEntry, OrgUnit
from app.catalog.rules import BusinessType
from app.core.db import database_of, new_id
from app.core.parameter_values import ParameterValue
from app.customers.models import Customer, Interaction, ServiceAddress
from app.customers.rules import InteractionKind
from app.lifecycle.rules import ChurnClass, Stage, Tier
from app.privacy.service.erasing import erase
from app.retention import jobs
from app.retention.models import FormerCustomer, RetentionCase
from app.retention.rules import Arm, CaseState, Cause, Handling, LeaveReason
from app.retention.rules.cases import held_out
from app.suggestions.models import ContactReservation, ContactSlot
from app.worker import HANDLERS
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.catalog import make_offering
from tests.make.counting import counted
from tests.make.customers import AS_OF, make_address, make_contact, make_customer, make_subscription
from tests.make.dispatch import Territory
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import (
    lies_in,
    make_care_rule,
    make_leaver,
    make_toolkit,
    make_warning,
)
from tests.retention.conftest import slug

DAY = timedelta(days=1)


async def household(office, *, address=True, id=None, **stands):
    """A customer in the grid, who stands somewhere in the lifecycle."""
    customer = await make_customer(
        office.tx,
        id=id or new_id(),
        org_unit=office.branch,
        phone="15400001234",
        channels_allowed=["phone"],
    )
    if address:
        place = office.land.point_in(office.land.grids[0])
        # Contacts count by address, too, so that each has a home of their own.
        home = await make_address(
            office.tx,
            customer,
            lon=place["lon"],
            lat=place["lat"],
            standard_address=f"碧波路18号碧波园3栋{customer.code}室",
        )
        await lies_in(office.tx, home.id, office.land.grids[0].id)
    at_risk = {"stage": Stage.DECLINE, "churn_class": ChurnClass.HIGH}
    await make_lifecycle(office.tx, customer, **{**at_risk, **stands})
    return customer


async def set_numbers(tx, clock, **values):
    since = clock.now() - 400 * DAY
    for name, value in values.items():
        tx.add(ParameterValue(name=f"retention.{name}", valid_from=since, value=value))
    await tx.flush()
    database_of(tx).cache.clear()


async def cases_of(tx):
    found = await tx.scalars(
        select(RetentionCase)
        .order_by(RetentionCase.decided_at, RetentionCase.id)
        .execution_options(populate_existing=True)
    )
    return {case.customer_id: case for case in found}


async def test_warned_customers_are_visited_called_or_left_alone(tx, office, worker, clock):
    assert HANDLERS["lifecycle.warned"] == [jobs.warned]
    kit = await make_toolkit(tx)
    await make_care_rule(tx, tiers=["A"], place=1)
    await make_care_rule(tx, tiers=["B", "C"], handling=Handling.CALL, place=2)
    await set_numbers(tx, clock, holdout_percent=0, cases_a_week=3)
    best = await household(office, tier=Tier.A, value_12m_fen=900_000)
    homeless = await household(office, tier=Tier.A, address=False)
    called = await household(office, tier=Tier.B, value_12m_fen=100_000)
    waits = await household(office, tier=Tier.C, value_12m_fen=50_000)
    second = await household(office, tier=Tier.B, value_12m_fen=99_000)
    quiet = await household(office, tier=Tier.A)
    quiet.do_not_disturb = True
    calm = await household(office, tier=Tier.A, churn_class=ChurnClass.MID)
    poor = await household(office, tier=Tier.D)
    everybody = (best, homeless, called, waits, second, quiet, calm, poor)
    run = new_id()
    for customer in everybody:
        await make_warning(tx, customer, at=clock.now() - DAY, run_id=run)
    old = await household(office, tier=Tier.A)
    await make_warning(tx, old, at=clock.now() - 31 * DAY)

    with counted(worker.database) as statements:
        await jobs.warned(worker, str(new_id()))
        assert await cases_of(tx) == {}
        await jobs.warned(worker, str(run))
    many = len(statements)
    cases = await cases_of(tx)
    assert {one for one, case in cases.items() if case.handling is Handling.VISIT} == {best.id}
    assert cases.keys() == {best.id, homeless.id, called.id, second.id}
    visit = cases[best.id]
    assert (visit.cause, visit.toolkit_id, visit.grid_id) == (
        Cause.CHURN_HIGH,
        kit.id,
        office.land.grids[0].id,
    )
    order = await tx.get_one(WorkOrder, visit.work_order_id)
    assert (order.work_type, order.source, order.priority) == (WorkType.CARE, "yingwei", 2)
    assert order.holder_id == office.land.people[0].id
    assert order.customer_id == best.id and "挽留包" in order.summary
    assert many < 60

    # The grid's week is full; the next one has room, and nobody is taken care of twice.
    await jobs.look_around(worker)
    assert (await cases_of(tx)).keys() == cases.keys()
    clock.tick(7 * DAY)
    await jobs.look_around(worker)
    assert (await cases_of(tx)).keys() - cases.keys() == {waits.id}
    await make_warning(tx, called, at=clock.now())
    clock.tick(7 * DAY)
    await jobs.look_around(worker)
    assert len(await cases_of(tx)) == 5

    # A visit ends with its order, a call that nobody makes lapses.
    order.state, order.completed_at = State.COMPLETED, clock.now()
    await tx.flush()
    assert jobs.order_completed in HANDLERS["workorder.completed"]
    for _ in range(2):
        await jobs.order_completed(worker, str(order.id))
    clock.tick(8 * DAY)
    await jobs.look_around(worker)
    states = {one: case.state for one, case in (await cases_of(tx)).items()}
    assert states[best.id] is CaseState.DONE
    assert states[called.id] is CaseState.LAPSED
    assert states[waits.id] is CaseState.OPEN


async def test_a_drawn_share_is_left_alone_and_the_effect_is_told(tx, office, worker, clock):
    await make_care_rule(tx, handling=Handling.CALL)
    await set_numbers(tx, clock, holdout_percent=50, cases_a_week=1000, kept_days=30)
    # Who is left alone is said by the id.
    ids = [new_id() for _ in range(200)]
    drawn = [[one for one in ids if held_out(one, clock.now(), 50) is yes] for yes in (True, False)]
    people = [await household(office, id=one) for half in drawn for one in half[:6]]
    for customer in people:
        await make_warning(tx, customer, at=clock.now())
    await jobs.look_around(worker)
    cases = await cases_of(tx)
    assert len(cases) == 12
    alone = [case for case in cases.values() if case.arm is Arm.HELD_OUT]
    treated = [case for case in cases.values() if case.arm is Arm.TREATED]
    assert (len(alone), len(treated)) == (6, 6)
    assert {case.state for case in alone} == {CaseState.HELD_OUT}
    assert all(case.work_order_id is None and case.share_percent == 50 for case in alone)
    left = await tx.get_one(Customer, alone[0].customer_id)
    await make_leaver(tx, left, left_on=date(2026, 3, 20), now=clock.now())
    # Told to have left while a service of theirs ran on: they have not.
    stays = await tx.get_one(Customer, treated[0].customer_id)
    await make_leaver(tx, stays, left_on=date(2026, 3, 20), now=clock.now())
    await make_subscription(tx, stays)
    period = {"from": "2026-03-01", "until": "2026-04-01"}
    young = await office.ok("supervisor", "GET", "/retention-effects", **period)
    assert young["all_causes"]["treated"]["too_young"] == len(treated)
    assert young["all_causes"]["difference"] is None
    clock.tick(31 * DAY)
    told = await office.ok("manager", "GET", "/retention-effects", **period)
    everyone = told["all_causes"]
    assert everyone["treated"]["kept"] == everyone["treated"]["of"] == len(treated)
    assert everyone["held_out"]["kept"] == len(alone) - 1
    assert everyone["low"] <= everyone["difference"] <= everyone["high"]
    assert [one["cause"] for one in told["causes"]] == ["churn_high"]
    elsewhere = await office.ok("stranger", "GET", "/retention-effects", **period)
    assert elsewhere["all_causes"]["treated"]["of"] == 0
    wrong = await office.ask(
        "supervisor", "GET", "/retention-effects", **{**period, "until": "2026-03-01"}
    )
    assert wrong.status_code == 422


async def test_a_list_and_a_case_say_as_which_tier_a_customer_counts(tx, office):
    await make_toolkit(tx, kind="renewal", offers=["STANDARD"])
    await make_toolkit(tx, kind="renewal", tiers=["B"], offers=["DEAR"])
    customer = await household(office, tier=Tier.C, hidden_high_value=True)
    await make_subscription(tx, customer, contract_ends_on=date(2026, 3, 22))
    grid = office.land.grids[0].id
    (entry,) = (await office.ok("supervisor", "GET", "/renewals", grid_id=grid))["entries"]
    body = {"id": str(new_id()), "customer_id": str(customer.id), "list": "renewal"}
    case = await office.ok("supervisor", "POST", "/retention-cases", {**body, "handling": "call"})
    assert entry["offers"] == ["DEAR"]
    for told in (entry, case):
        assert (told["tier"], told["counted_tier"]) == ("C", "B")
        assert told["counted_words"]["zh"].startswith("潜在高价值客户")


async def test_from_the_renewal_list_to_what_the_customer_said(tx, office, clock):
    await make_toolkit(tx, kind="renewal", offers=["RENEW-24"])
    grid = office.land.grids[0].id
    ends = {}
    for tier, days in ((Tier.B, 20), (Tier.A, 80), (Tier.A, 10), (Tier.C, 91), (None, -5)):
        customer = await household(office, tier=tier)
        await make_subscription(
            tx, customer, contract_ends_on=date(2026, 3, 2) + timedelta(days=days)
        )
        ends[days] = customer
    listed = await office.ok("supervisor", "GET", "/renewals", grid_id=grid)
    assert [one["days_left"] for one in listed["entries"]] == [10, 80, 20, -5]
    first = listed["entries"][0]
    assert (first["name"], first["phone"], first["offers"]) == ("王**", "154****1234", ["RENEW-24"])
    assert {one["call_allowed"] for one in listed["entries"]} == {True}
    assert "1203" not in str(listed) and "15400001234" not in str(listed)
    page = await office.ok("supervisor", "GET", "/renewals", grid_id=grid, size=3)
    more = await office.ok(
        "supervisor", "GET", "/renewals", grid_id=grid, size=3, page_token=page["next_page_token"]
    )
    assert [one["days_left"] for one in page["entries"] + more["entries"]] == [10, 80, 20, -5]
    best = await office.ok("supervisor", "GET", "/renewals", grid_id=grid, tier="A")
    assert len(best["entries"]) == 2
    assert (await office.ask("stranger", "GET", "/renewals", grid_id=grid)).status_code == 404
    assert (await office.ask("technician", "GET", "/renewals", grid_id=grid)).status_code == 403

    body = {
        "id": "019cad02-5c1d-7b0e-8f2c-6a1f0e9b7d33",
        "customer_id": str(ends[10].id),
        "list": "renewal",
        "handling": "call",
        "technician_id": None,
    }
    case = await office.ok("supervisor", "POST", "/retention-cases", body)
    assert await office.ok("supervisor", "POST", "/retention-cases", body) == case
    other = await office.ask(
        "supervisor", "POST", "/retention-cases", {**body, "handling": "visit"}
    )
    assert slug(other) == (409, "same-id-other-content")
    twice = {**body, "id": "019cad02-5c1d-7b0e-8f2c-6a1f0e9b7d34"}
    refused = await office.ask("supervisor", "POST", "/retention-cases", twice)
    assert slug(refused) == (409, "case-open-already")
    early = {**twice, "customer_id": str(ends[91].id)}
    refused = await office.ask("supervisor", "POST", "/retention-cases", early)
    assert slug(refused) == (409, "not-on-list")
    left = await office.ok("supervisor", "GET", "/renewals", grid_id=grid)
    assert [one["days_left"] for one in left["entries"]] == [80, 20, -5]

    path = f"/retention-cases/{case['id']}"
    assert (await office.ask("technician", "GET", path)).status_code == 404
    technician = str(office.land.people[0].id)
    await office.ok("supervisor", "POST", f"{path}/give", {"technician_id": technician})
    (mine,) = (await office.ok("technician", "GET", "/my/retention-cases"))["cases"]
    assert (mine["id"], mine["customer_phone"]) == (case["id"], "154****1234")
    assert mine["toolkit"]["offers"] == ["RENEW-24"]
    assert (await office.ok("colleague", "GET", "/my/retention-cases"))["cases"] == []
    said = {"outcome": "unreached"}
    early_word = await office.ask("technician", "POST", f"{path}/outcome", said)
    assert slug(early_word) == (409, "case-not-claimed")
    claimed = await office.ok("technician", "POST", f"{path}/claim")
    assert claimed["phone"] == "15400001234"
    seen = await tx.scalar(select(AuditEntry).where(AuditEntry.subject_id == ends[10].id))
    assert seen is not None and seen.purpose == f"retention_case:{case['id']}"
    taken = await office.ask("supervisor", "POST", f"{path}/claim")
    assert slug(taken) == (409, "case-claimed")
    for tries in (1, 2):
        await office.ok("technician", "POST", f"{path}/claim")
        nobody = await office.ok("technician", "POST", f"{path}/outcome", said)
        assert (nobody["tries"], nobody["state"]) == (tries, "open")
        again = await office.ok("technician", "POST", f"{path}/outcome", said)
        assert again == nobody
    await office.ok("technician", "POST", f"{path}/claim")
    bad = await office.ask("technician", "POST", f"{path}/outcome", {"outcome": "refused"})
    assert bad.status_code == 422
    yes = {"outcome": "accepted", "offering_code": "RENEW-24"}
    done = await office.ok("technician", "POST", f"{path}/outcome", yes)
    assert (done["state"], done["outcome_words"]["en"]) == ("done", "accepted an offer")
    assert await office.ok("technician", "POST", f"{path}/outcome", yes) == done
    over = await office.ask("technician", "POST", f"{path}/outcome", said)
    assert slug(over) == (409, "case-not-open")
    # A call that offers something keeps to what every channel keeps to.
    lately = {**twice, "customer_id": str(ends[80].id)}
    second = await office.ok("supervisor", "POST", "/retention-cases", lately)
    before = await make_contact(tx, ends[80], at=clock.now() - DAY)
    too_soon = await office.ask("supervisor", "POST", f"/retention-cases/{second['id']}/claim")
    assert slug(too_soon) == (409, "contact-refused")
    (contact,) = (await tx.scalars(select(Interaction).where(Interaction.id != before.id))).all()
    assert (contact.kind, contact.channel, contact.outcome) == ("sales", "phone", "accepted")
    cases = await office.ok("supervisor", "GET", "/retention-cases", state="done")
    assert [one["customer_name"] for one in cases["cases"]] == ["王**"]
    assert (await office.ok("stranger", "GET", "/retention-cases"))["cases"] == []


async def test_who_has_left_is_asked_back_once(tx, office, clock):
    await make_toolkit(tx, kind="win_back", offers=["LINE-500"], reasons=["price"])
    grid = office.land.grids[0].id
    gone = {}
    for name, days, fields in (
        ("poor", 31, {"value_12m_fen": 10}),
        ("rich", 179, {"value_12m_fen": 900, "tier": Tier.A}),
        ("unknown", 60, {"reason": LeaveReason.UNKNOWN}),
        ("early", 29, {}),
        ("late", 181, {}),
        ("unreachable", 60, {"reachable": False}),
        ("dead", 60, {"reason": LeaveReason.DECEASED}),
        ("refused", 60, {"refused_at": clock.now()}),
        ("back", 60, {"returned_on": date(2026, 2, 1)}),
    ):
        customer = await household(office, stage=Stage.EXIT)
        left_on = date(2026, 3, 2) - timedelta(days=days)
        gone[name] = customer
        await make_leaver(tx, customer, left_on=left_on, now=clock.now(), **fields)
    with_us = await household(office, stage=Stage.EXIT)
    await make_leaver(tx, with_us, left_on=date(2026, 1, 1), now=clock.now())
    await make_subscription(tx, with_us)
    listed = await office.ok("supervisor", "GET", "/win-back", grid_id=grid)
    on_it = [one["customer_id"] for one in listed["entries"]]
    assert on_it == [str(gone[name].id) for name in ("rich", "poor", "unknown")]
    assert [one["offers"] for one in listed["entries"]] == [["LINE-500"], ["LINE-500"], []]
    page = await office.ok("supervisor", "GET", "/win-back", grid_id=grid, size=1)
    more = await office.ok(
        "supervisor", "GET", "/win-back", grid_id=grid, page_token=page["next_page_token"]
    )
    assert [one["customer_id"] for one in page["entries"] + more["entries"]] == on_it
    some = await office.ok("supervisor", "GET", "/win-back", grid_id=grid, reason="unknown")
    assert len(some["entries"]) == 1

    take = {"list": "win_back", "handling": "visit"}
    visit = {**take, "id": "019cad02-5c1d-7b0e-8f2c-6a1f0e9b7d41", "customer_id": on_it[0]}
    made = await office.ok("supervisor", "POST", "/retention-cases", visit)
    order = await tx.get_one(WorkOrder, made["work_order_id"])
    assert (order.work_type, order.holder_id) == (WorkType.CARE, office.land.people[0].id)
    (mine,) = (await office.ok("technician", "GET", "/my/retention-cases"))["cases"]
    assert mine["id"] == made["id"]
    no = {"outcome": "refused", "reason": "competitor", "competitor": "长宽"}
    path = f"/retention-cases/{made['id']}"
    assert slug(await office.ask("supervisor", "POST", f"{path}/claim")) == (409, "case-not-called")
    await office.ok("technician", "POST", f"{path}/outcome", no)
    former = await tx.scalar(
        select(FormerCustomer)
        .where(FormerCustomer.customer_id == gone["rich"].id)
        .execution_options(populate_existing=True)
    )
    assert former is not None and former.refused_at == clock.now()

    call = {**take, "handling": "call", "id": "019cad02-5c1d-7b0e-8f2c-6a1f0e9b7d42"}
    made = await office.ok("manager", "POST", "/retention-cases", {**call, "customer_id": on_it[1]})
    path = f"/retention-cases/{made['id']}"
    await office.ok("supervisor", "POST", f"{path}/claim")
    ended = await office.ok("supervisor", "POST", f"{path}/outcome", {"outcome": "not_wanted"})
    assert ended["state"] == "done"
    customer = await tx.get_one(Customer, gone["poor"].id, populate_existing=True)
    assert customer.do_not_disturb
    gone["unknown"].do_not_disturb = True
    await tx.flush()
    assert (await office.ok("supervisor", "GET", "/win-back", grid_id=grid))["entries"] == []


# --- what every channel keeps to ------------------------------------------------------------------


async def care_call(tx, office, worker, clock):
    """A customer who is likely to leave and is to be called, with a toolkit that has an offer."""
    await make_toolkit(tx)
    await make_care_rule(tx, handling=Handling.CALL)
    await set_numbers(tx, clock, holdout_percent=0)
    customer = await household(office)
    await make_warning(tx, customer, at=clock.now())
    await jobs.look_around(worker)
    case = (await cases_of(tx))[customer.id]
    return customer, f"/retention-cases/{case.id}"


async def told_of(tx, customer):
    """Read what the ledger has of a customer: kind, outcome and offering, the oldest first."""
    rows = await tx.scalars(
        select(Interaction).where(Interaction.customer_id == customer.id).order_by(Interaction.at)
    )
    return [(one.kind, one.outcome, one.offering_code) for one in rows]


async def test_a_call_that_cares_reserves_the_slot_and_its_no_counts_as_one(
    tx, office, worker, clock
):
    customer, path = await care_call(tx, office, worker, clock)
    claimed = await office.ok("supervisor", "POST", f"{path}/claim")
    assert claimed["offers"] == [
        {"offering_code": "RENEW-24", "held_back": None, "held_back_words": None}
    ]
    assert await tx.scalar(select(ContactSlot.customer_id)) == customer.id
    no = {"outcome": "refused", "reason": "price", "offering_code": "RENEW-24"}
    await office.ok("supervisor", "POST", f"{path}/outcome", no)
    assert await told_of(tx, customer) == [("sales", "declined", "RENEW-24")]
    assert await tx.scalar(select(ContactSlot.customer_id)) is None


async def test_a_call_that_only_cared_gives_the_slot_back(tx, office, worker, clock):
    customer, path = await care_call(tx, office, worker, clock)
    await office.ok("supervisor", "POST", f"{path}/claim")
    await office.ok("supervisor", "POST", f"{path}/outcome", {"outcome": "stays"})
    assert await told_of(tx, customer) == [("service", "stays", None)]
    assert await tx.scalar(select(ContactSlot.customer_id)) is None
    state = await tx.scalar(select(ContactReservation.state))
    assert state == "released"


async def test_who_may_not_be_sold_to_is_cared_for_all_the_same(tx, office, worker, clock):
    customer, path = await care_call(tx, office, worker, clock)
    complaint = await make_contact(tx, customer, at=clock.now(), kind=InteractionKind.COMPLAINT)
    claimed = await office.ok("supervisor", "POST", f"{path}/claim")
    assert claimed["phone"] == "15400001234"
    (offer,) = claimed["offers"]
    assert (offer["offering_code"], offer["held_back"]) == ("RENEW-24", "complaint_open")
    assert offer["held_back_words"]
    assert await tx.scalar(select(ContactSlot.customer_id)) is None
    yes = {"outcome": "accepted", "offering_code": "RENEW-24"}
    against = await office.ask("supervisor", "POST", f"{path}/outcome", yes)
    assert slug(against) == (409, "contact-refused")
    assert against.json()["facts"]["reason"] == "complaint_open"
    await office.ok("supervisor", "POST", f"{path}/outcome", {"outcome": "stays"})
    await tx.delete(complaint)
    await tx.flush()
    assert await told_of(tx, customer) == [("service", "stays", None)]


async def test_sensitive_business_is_not_accepted_by_telephone(tx, office, worker, clock):
    customer, path = await care_call(tx, office, worker, clock)
    await make_offering(tx, code="RENEW-24", business_type=BusinessType.SENSITIVE)
    (offer,) = (await office.ok("supervisor", "POST", f"{path}/claim"))["offers"]
    assert offer["held_back"] == "other_channel"
    yes = {"outcome": "accepted", "offering_code": "RENEW-24"}
    against = await office.ask("supervisor", "POST", f"{path}/outcome", yes)
    assert slug(against) == (409, "channel-not-for-offer")
    assert await told_of(tx, customer) == []


async def test_a_visit_sells_only_what_every_channel_may(tx, office, clock):
    await make_toolkit(tx, kind="win_back", offers=["LINE-500"])
    await make_offering(tx, code="LINE-500")
    customer = await household(office, stage=Stage.EXIT)
    await make_leaver(tx, customer, left_on=date(2026, 1, 2), now=clock.now())
    body = {
        "id": str(new_id()),
        "customer_id": str(customer.id),
        "list": "win_back",
        "handling": "visit",
    }
    case = await office.ok("supervisor", "POST", "/retention-cases", body)
    path = f"/retention-cases/{case['id']}/outcome"
    # The visit itself, under way and spoken of in the ledger, is no hindrance.
    order = await tx.get_one(WorkOrder, case["work_order_id"])
    order.state = State.ON_SITE
    await make_contact(
        tx, customer, at=clock.now(), kind=InteractionKind.SERVICE, work_order_id=order.id
    )
    yes = {"outcome": "accepted", "offering_code": "LINE-500"}
    customer.arrears_fen = 1
    await tx.flush()
    against = await office.ask("technician", "POST", path, yes)
    assert (slug(against), against.json()["facts"]["reason"]) == (
        (409, "contact-refused"),
        "arrears",
    )
    assert len(await told_of(tx, customer)) == 1
    # A refusal is the truth whatever stood against the offer, and can be corrected at the door.
    no = {"outcome": "refused", "reason": "price", "offering_code": "LINE-500"}
    await office.ok("technician", "POST", path, no)
    customer.arrears_fen = 0
    await tx.flush()
    clock.tick(timedelta(minutes=1))
    await office.ok("technician", "POST", path, yes)
    assert (await told_of(tx, customer))[1:] == [
        ("sales", "declined", "LINE-500"),
        ("sales", "accepted", "LINE-500"),
    ]


# --- customers with two homes ---------------------------------------------------------------------


def wanted(customer, **body):
    """Take a customer from the renewal list, to be called."""
    given = {"id": str(new_id()), "customer_id": str(customer.id), "list": "renewal"}
    return {**given, "handling": "call", **body}


async def second_home(office, customer, land):
    """Another address of a customer, in a grid of its own, that was looked at since."""
    grid = await land.add_grid()
    place = land.point_in(grid)
    home = await make_address(
        office.tx,
        customer,
        lon=place["lon"],
        lat=place["lat"],
        standard_address="滨江路2号滨江园1栋101室",
        checked_at=AS_OF + DAY,
    )
    await lies_in(office.tx, home.id, grid.id)
    return home


async def test_the_line_of_a_grids_home_is_on_its_list_and_is_whom_the_visit_is_for(
    tx, office, clock
):
    await make_toolkit(tx, kind="renewal", offers=["RENEW-24"])
    customer = await household(office, tier=Tier.B)
    first = await tx.scalar(select(ServiceAddress).where(ServiceAddress.customer_id == customer.id))
    second = await second_home(office, customer, office.land)
    for number, home, days in (("S-1", first, 10), ("S-2", second, 700)):
        await make_subscription(
            tx,
            customer,
            service_number=number,
            service_address_id=home.id,
            contract_ends_on=clock.now().date() + days * DAY,
        )
    grid = office.land.grids[0].id
    listed = await office.ok("supervisor", "GET", "/renewals", grid_id=grid)
    assert [one["days_left"] for one in listed["entries"]] == [10]
    visit = wanted(customer, handling="visit")
    made = await office.ok("supervisor", "POST", "/retention-cases", visit)
    order = await tx.get_one(WorkOrder, made["work_order_id"])
    assert (order.address, order.service_number) == (first.standard_address, "S-1")


async def test_who_has_another_home_in_a_neighbours_grid_can_be_taken_from_the_list(
    tx, office, clock
):
    customer = await household(office, tier=Tier.B)
    await make_subscription(tx, customer, contract_ends_on=clock.now().date() + 10 * DAY)
    neighbours = await tx.get_one(OrgUnit, office.accounts["stranger"].org_unit_id)
    await second_home(office, customer, Territory(tx, neighbours))
    grid = office.land.grids[0].id
    listed = await office.ok("supervisor", "GET", "/renewals", grid_id=grid)
    assert [one["customer_id"] for one in listed["entries"]] == [str(customer.id)]
    made = await office.ask("supervisor", "POST", "/retention-cases", wanted(customer))
    assert made.status_code == 201, made.text


# --- the slot of a call ---------------------------------------------------------------------------


async def renewal_call(tx, office, clock):
    """A call that is there to sell: the contract of a line ends soon."""
    await make_toolkit(tx, kind="renewal", offers=["RENEW-24"])
    customer = await household(office, tier=Tier.B)
    await make_subscription(tx, customer, contract_ends_on=clock.now().date() + 20 * DAY)
    case = await office.ok("supervisor", "POST", "/retention-cases", wanted(customer))
    return customer, f"/retention-cases/{case['id']}"


async def test_a_call_claimed_again_after_its_slot_ran_out_asks_anew(tx, office, clock):
    customer, path = await renewal_call(tx, office, clock)
    await office.ok("supervisor", "POST", f"{path}/claim")
    clock.tick(2 * DAY)
    await office.ok("supervisor", "POST", f"{path}/claim")
    assert await tx.scalar(select(ContactSlot.held_until)) > clock.now()
    clock.tick(2 * DAY)
    # Somebody else has sold to them meanwhile.
    await make_contact(tx, customer, at=clock.now() - timedelta(hours=20))
    again = await office.ask("supervisor", "POST", f"{path}/claim")
    assert slug(again) == (409, "contact-refused")


async def test_who_calls_instead_of_somebody_gets_their_slot(tx, office, clock):
    _, path = await renewal_call(tx, office, clock)
    for turn in ("supervisor", "manager", "supervisor"):
        claimed = await office.ask(turn, "POST", f"{path}/claim")
        assert claimed.status_code == 200, claimed.text
        (held,) = await tx.scalars(select(ContactSlot.reservation_id))
        holder = await tx.get_one(ContactReservation, held, populate_existing=True)
        assert holder.account_id == office.accounts[turn].account_id
        clock.tick(timedelta(minutes=31))


# --- somebody who is erased -----------------------------------------------------------------------


@pytest.mark.parametrize("handling", ["call", "visit"])
async def test_nothing_is_done_or_written_about_who_was_erased(tx, office, worker, clock, handling):
    customer, path = await care_call(tx, office, worker, clock)
    await office.ok("supervisor", "POST", f"{path}/claim")
    if handling == "visit":
        # A visit's outcome may be told after its order was completed, which closed the case.
        await tx.execute(
            update(RetentionCase).values(
                handling=Handling.VISIT, state=CaseState.DONE, closed_at=clock.now()
            )
        )
    await erase(tx, customer.id, office.accounts["admin"], now=clock.now())
    assert (await office.ok("supervisor", "GET", "/retention-cases", state="open"))["cases"] == []
    said = {"outcome": "refused", "reason": "competitor", "competitor": "友商甲", "note": "王小明"}
    told = await office.ask("supervisor", "POST", f"{path}/outcome", said)
    assert slug(told) == (409, "case-not-open")
    case = await tx.scalar(select(RetentionCase).execution_options(populate_existing=True))
    assert (case.state, case.note, case.competitor) == (CaseState.DROPPED, None, None)
