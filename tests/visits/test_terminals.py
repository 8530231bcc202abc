"""Terminals scanned at a door: each way they go, each refusal, and two who scan one at once."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.dispatch.queries.vans import vans
from app.terminals import queries
from app.terminals.models import Terminal, TerminalMove
from app.terminals.rules import Pool, TerminalKind, Why
from app.visits.models import TerminalScan
from app.visits.rules import Scan, ScanAction, TerminalElsewhere
from app.visits.service import terminals
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import READ
from app.worktypes.rules import BUILT_IN, Recover, WorkType
from tests.make.auth import caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.races import until_waiting
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal
from tests.make.visits import TODAY, make_assigned_order, make_phone

PROBLEM = "urn:yingwei:problem:"


@pytest.fixture
async def door(tx, app, http, clock):
    """A technician who has just checked in at a customer's, with one gateway in the van."""
    branch = await make_org_unit(tx)
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    customer = await make_customer(tx, org_unit=branch)
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), service_number="0731-1"
    )
    return SimpleNamespace(
        branch=branch,
        phone=phone,
        customer=customer,
        order=order,
        visit=await phone.arrive(order),
        mine=await make_terminal(
            tx, branch, serial_number="NEW1", technician_id=phone.technician.id
        ),
        old=await make_terminal(tx, branch, serial_number="OLD1", customer_id=customer.id),
    )


@pytest.fixture
def scan(door):
    async def send(action, serial, *, status=201, **more):
        given = {"id": str(new_id()), "action": action, "serial_number": serial, **more}
        answer = await door.phone.post(f"/visits/{door.visit}/terminals", **given)
        assert answer.status_code == status, answer.text
        return answer.json()

    return send


@pytest.fixture
def refused(tx, scan):
    async def send(action, serial, *, status=409, **more):
        before = await written(tx)
        answer = await scan(action, serial, status=status, **more)
        assert await written(tx) == before
        return answer["type"].removeprefix(PROBLEM), answer["facts"]

    return send


async def written(tx):
    return [
        await tx.scalar(select(func.count()).select_from(table))
        for table in (TerminalMove, TerminalScan)
    ] + [await tx.scalar(text("SELECT sum(version) FROM terminal"))]


async def where(tx, serial):
    """Where it is, which has to be where its last move brought it."""
    terminal = await tx.scalar(
        select(Terminal)
        .where(Terminal.serial_number == serial)
        .execution_options(populate_existing=True)
    )
    chain = await queries.chain_of(tx, terminal.id)
    assert [one.link.number for one in chain] == list(range(1, terminal.last_move + 1))
    if chain:
        last = chain[-1].link.after
        assert (last.pool, last.technician_id, last.customer_id, last.service_number) == (
            terminal.pool,
            terminal.technician_id,
            terminal.customer_id,
            terminal.service_number,
        )
    return terminal.pool, terminal.technician_id or terminal.customer_id


async def test_a_faulty_gateway_is_swapped_and_the_order_knows(tx, door, scan, clock):
    swapped = await scan("swapped", "sn: new1", replaced_serial_number="ＯＬＤ１", reason="faulty")
    assert (swapped["serial_number"], swapped["replaced_serial_number"]) == ("NEW1", "OLD1")
    assert (swapped["kind"], swapped["warnings"]) == ("ont_gateway", [])
    assert await where(tx, "NEW1") == (Pool.CUSTOMER, door.customer.id)
    assert await where(tx, "OLD1") == (Pool.RECOVERED, door.phone.technician.id)
    moved = await queries.moved_for(tx, door.order.id)
    assert (list(moved.fitted), list(moved.taken)) == (["NEW1"], ["OLD1"])
    new = await tx.scalar(select(Terminal).where(Terminal.serial_number == "NEW1"))
    assert (new.service_number, new.placed_at) == ("0731-1", clock.now())
    # What is in somebody's hands is not in the van.
    van = (await door.phone.get("/my/van")).json()
    assert van["terminals"] == []
    listed = (await door.phone.get(f"/visits/{door.visit}/terminals")).json()
    assert listed["scans"] == [swapped]


async def test_taken_back_each_is_where_it_was_and_can_be_scanned_again(tx, door, scan):
    swapped = await scan("swapped", "NEW1", replaced_serial_number="OLD1", reason="upgrade")
    undo = f"/visits/{door.visit}/terminals/{swapped['id']}/undo"
    first = await door.phone.post(undo)
    assert first.status_code == 200
    assert first.json()["undone_at"] is not None
    assert (await door.phone.post(undo)).json() == first.json()
    assert await where(tx, "NEW1") == (Pool.VAN, door.phone.technician.id)
    assert await where(tx, "OLD1") == (Pool.CUSTOMER, door.customer.id)
    moved = await queries.moved_for(tx, door.order.id)
    assert (moved.fitted, moved.taken) == ({}, {})
    await scan("taken_away", "OLD1")
    assert list((await queries.moved_for(tx, door.order.id)).taken) == ["OLD1"]


async def test_an_unknown_one_at_the_customers_is_taken_in(tx, door, scan, refused):
    assert (await refused("taken_away", "WHO1"))[0] == "terminal-not-known"
    slug, facts = await refused("found", "WHO1", status=422)
    assert (slug, facts["errors"][0]["field"]) == ("invalid", "kind")
    found = await scan("found", "WHO1", kind="set_top_box", model="B860")
    assert await where(tx, "WHO1") == (Pool.RECOVERED, door.phone.technician.id)
    undo = f"/visits/{door.visit}/terminals/{found['id']}/undo"
    assert (await door.phone.post(undo)).status_code == 200
    assert await where(tx, "WHO1") == (Pool.VOID, None)
    # The number stands for no device, until it is found after all.
    await scan("found", "WHO1", kind="set_top_box")
    assert await where(tx, "WHO1") == (Pool.RECOVERED, door.phone.technician.id)
    await make_terminal(tx, door.branch, serial_number="GONE", pool=Pool.LOST)
    await scan("found", "GONE")
    # What is booked here is simply taken away.
    await scan("found", "OLD1")
    assert set((await queries.moved_for(tx, door.order.id)).taken) == {"WHO1", "GONE", "OLD1"}


async def test_a_foreign_one_is_refused_with_where_it_is(tx, door, refused):
    unit = door.branch
    colleague = await make_technician(tx, org_unit=unit, name="李强")
    await make_terminal(tx, unit, serial_number="HIS", technician_id=colleague.id)
    await make_terminal(tx, unit, serial_number="DEPOT")
    neighbour = await make_customer(tx, org_unit=unit)
    await make_terminal(tx, unit, serial_number="NEXT", customer_id=neighbour.id)
    await make_terminal(tx, await make_org_unit(tx), serial_number="FAR")
    slug, facts = await refused("fitted", "HIS")
    assert (slug, facts["pool"], facts["technician"]) == ("terminal-elsewhere", "van", "李强")
    assert facts["where_en"].startswith("in the van of 李强")
    assert "hand it over" in facts["do_en"]
    slug, facts = await refused("fitted", "DEPOT")
    assert (facts["pool"], facts["technician"]) == ("warehouse", None)
    slug, facts = await refused("taken_away", "NEXT")
    assert facts["pool"] == "customer"
    assert neighbour.name not in str(facts)
    slug, facts = await refused("fitted", "FAR")
    assert (facts["pool"], facts["branch"], facts["where_en"]) == ("elsewhere", None, "elsewhere")
    slug, facts = await refused("taken_away", "NEW1")
    assert facts["where_en"] == "in your own van"
    slug, facts = await refused("fitted", "OLD1")
    assert facts["where_en"] == "at this customer's"
    assert (await refused("found", "HIS"))[0] == "terminal-elsewhere"
    # Half a swap is no swap.
    await refused("swapped", "HIS", replaced_serial_number="OLD1", reason="faulty")
    await refused("swapped", "NEW1", replaced_serial_number="NEXT", reason="faulty")
    assert (await refused("fitted", "NOBODY"))[0] == "terminal-not-known"


@pytest.mark.parametrize(
    ("action", "more", "field"),
    [
        ("swapped", {"replaced_serial_number": "OLD1"}, "reason"),
        ("swapped", {"replaced_serial_number": "OLD1", "reason": "lost"}, "reason"),
        ("fitted", {"reason": "faulty"}, "reason"),
        ("swapped", {"reason": "faulty"}, ""),
        ("swapped", {"reason": "faulty", "replaced_serial_number": "new1"}, ""),
        ("fitted", {"replaced_serial_number": "OLD1"}, ""),
        ("fitted", {"serial": "no;number"}, "serial_number"),
    ],
)
async def test_what_makes_no_sense_is_refused(refused, action, more, field):
    more = dict(more)
    slug, facts = await refused(action, more.pop("serial", "NEW1"), status=422, **more)
    assert slug == "invalid"
    assert facts["errors"][0]["field"] in (field, "body", "")


async def test_the_same_scan_is_answered_like_the_first(tx, door, scan, refused, clock):
    given = {"id": str(new_id()), "device_at": clock.now().isoformat()}
    first = await scan("fitted", "NEW1", **given)
    before = await written(tx)
    assert await scan("fitted", " new1 ", **given) == first
    assert await written(tx) == before
    assert (await refused("taken_away", "NEW1", **given))[0] == "same-id-other-content"
    # Also when the visit has ended since; what is new is refused then.
    await door.phone.complete(door.visit)
    assert await scan("fitted", "NEW1", **given) == first
    assert (await refused("taken_away", "OLD1"))[0] == "visit-ended"
    undo = await door.phone.post(f"/visits/{door.visit}/terminals/{first['id']}/undo")
    assert undo.json()["type"] == PROBLEM + "visit-ended"


async def test_nothing_is_scanned_before_checking_in_or_by_others(tx, app, http, clock, door, scan):
    suspended = await door.phone.post(
        f"/visits/{door.visit}/suspend",
        cause="material_fetched",
        resume_at=clock.now().replace(hour=12).isoformat(),
    )
    assert suspended.status_code == 200
    answer = await scan("fitted", "NEW1", status=409)
    assert answer["type"] == PROBLEM + "not-at-the-door"
    other = await make_phone(tx, app, http, clock, org_unit=door.branch)
    body = {"id": str(new_id()), "action": "fitted", "serial_number": "NEW1"}
    assert (await other.post(f"/visits/{door.visit}/terminals", **body)).status_code == 404
    assert (await other.get(f"/visits/{door.visit}/terminals")).status_code == 404
    undo = f"/visits/{door.visit}/terminals/{new_id()}/undo"
    assert (await other.post(undo)).status_code == 404
    assert (await door.phone.post(undo)).status_code == 404


async def test_what_has_gone_on_cannot_be_taken_back(tx, door, scan):
    first = await scan("fitted", "NEW1")
    await scan("taken_away", "NEW1")
    undo = await door.phone.post(f"/visits/{door.visit}/terminals/{first['id']}/undo")
    assert undo.json()["type"] == PROBLEM + "terminal-moved-since"
    assert await where(tx, "NEW1") == (Pool.RECOVERED, door.phone.technician.id)


async def test_a_kind_nobody_asked_for_is_pointed_out(tx, door, scan):
    await tx.execute(text("UPDATE work_order SET terminals = '{ont_gateway}'"))
    await make_terminal(
        tx,
        door.branch,
        serial_number="CAM",
        kind=TerminalKind.CAMERA,
        technician_id=door.phone.technician.id,
    )
    camera = await scan("fitted", "CAM")
    assert [one["code"] for one in camera["warnings"]] == ["not_asked_for"]
    second = await scan("fitted", "NEW1")
    assert [one["code"] for one in second["warnings"]] == ["one_stands_there"]


async def test_what_is_fitted_is_not_needed_of_the_van_once_more(tx, door, scan):
    await tx.execute(text("UPDATE work_order SET terminals = '{ont_gateway}'"))
    who = door.phone.technician.id

    async def left():
        return (await vans(tx, [who]))[who].left["ont_gateway"]

    assert await left() == 0
    made = await scan("fitted", "NEW1")
    assert await left() == 0
    await door.phone.post(f"/visits/{door.visit}/terminals/{made['id']}/undo")
    assert await left() == 0
    # What is taken away is in their hands, and no stock.
    await scan("taken_away", "OLD1")
    assert await left() == 0


async def test_removing_is_not_complete_while_something_stands_there(tx, app, http, clock, door):
    template = WorkTemplate(
        code="remove",
        version=1,
        work_type=WorkType.REMOVE,
        valid_from=TODAY,
        content=READ.dump_python(
            replace(BUILT_IN[WorkType.REMOVE], recovers=Recover.ALL), mode="json"
        ),
    )
    tx.add(template)
    await tx.flush()
    phone = await make_phone(tx, app, http, clock, org_unit=door.branch)
    order = await make_assigned_order(
        tx,
        phone.technician,
        door.customer,
        now=clock.now(),
        work_type=WorkType.REMOVE,
        service_number="0731-1",
        template_id=template.id,
    )
    # This one stands at another line of theirs.
    await make_terminal(
        tx,
        door.branch,
        serial_number="LINE2",
        customer_id=door.customer.id,
        service_number="0731-2",
    )
    visit = await phone.arrive(order)
    answer = await phone.post(f"/visits/{visit}/complete", outcome_code="removed")
    assert answer.json()["type"] == PROBLEM + "not-complete"
    assert [one["code"] for one in answer.json()["facts"]["missing"]] == ["OLD1"]
    body = {"id": str(new_id()), "action": "taken_away", "serial_number": "OLD1"}
    assert (await phone.post(f"/visits/{visit}/terminals", **body)).status_code == 201
    await phone.complete(visit, "removed")


@pytest.mark.parametrize("unknown", [False, True])
async def test_two_technicians_scan_one_at_once(real_database, clock, unknown):
    """One wins, and the other is told who has it."""
    now = clock.now()
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        customer = await make_customer(tx, org_unit=branch)
        callers, visits = [], []
        for name in ("甲", "乙"):
            technician = await make_technician(tx, org_unit=branch, name=name)
            account = await make_account(tx, branch, technician_id=technician.id)
            callers.append(
                caller_for(
                    Role.TECHNICIAN, branch, account_id=account.id, technician_id=technician.id
                )
            )
            order = await make_assigned_order(tx, technician, customer, now=now)
            await take_step(tx, order, Step.ACKNOWLEDGE, now=now)
            await take_step(tx, order, Step.TRAVEL, now=now)
            await take_step(tx, order, Step.CHECK_IN, now=now)
            assert order.state is State.ON_SITE
            visits.append(await tx.scalar(OPEN_VISIT, {"order": order.id, "id": new_id()}))
        if not unknown:
            await make_terminal(tx, branch, serial_number="ONE", customer_id=customer.id)

    async def scan(nth, hold=None):
        one = Scan(
            id=new_id(),
            action=ScanAction.FOUND if unknown else ScanAction.TAKEN_AWAY,
            serial_number="ONE",
            replaced=None,
            kind=TerminalKind.ONT_GATEWAY if unknown else None,
            model=None,
            reason=None,
            device_at=now,
        )
        async with real_database.begin() as tx:
            await terminals.scan(tx, visits[nth], callers[nth], one, now)
            if hold is not None:
                hold.set()
                await until_waiting(real_database)

    held = asyncio.Event()
    first = asyncio.create_task(scan(0, held))
    await held.wait()
    with pytest.raises(TerminalElsewhere) as told:
        await scan(1)
    await first
    assert told.value.facts["pool"] == "recovered"
    assert told.value.facts["technician"] == "甲"
    async with real_database.read() as session:
        (move,) = await session.scalars(select(TerminalMove))
        assert move.by_technician_id == callers[0].technician_id
        assert move.why is (Why.FOUND_AT_CUSTOMER if unknown else Why.SERVICE_ENDED)


OPEN_VISIT = text(
    "INSERT INTO visit (id, work_order_id, technician_id, travel_started_at)"
    " SELECT :id, id, holder_id, now() FROM work_order WHERE id = :order RETURNING id"
)
