"""Work that is interrupted: what was lacking, who was not at home, and what comes next knows."""

from datetime import timedelta
from typing import Any

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.technicians.models import TechnicianSkill
from app.terminals.rules import TerminalKind
from app.visits.rules import HandBackCause, Lacking
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.visits import TODAY, make_assigned_order, make_phone, taken


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def order(tx, phone, clock):
    return await make_assigned_order(tx, phone.technician, now=clock.now())


async def fresh(tx, order):
    return await tx.get_one(WorkOrder, order.id, populate_existing=True)


@pytest.mark.parametrize(
    ("cause", "lacking", "fits"),
    [
        (HandBackCause.WRONG_SKILL, Lacking("copper"), True),
        (HandBackCause.RESOURCE_MISSING, Lacking(None, (TerminalKind.SET_TOP_BOX,)), True),
        (HandBackCause.OTHER, Lacking(), True),
        (HandBackCause.OTHER, Lacking("copper"), False),
        (HandBackCause.RESOURCE_MISSING, Lacking("copper"), False),
        (HandBackCause.WRONG_SKILL, Lacking(None, (TerminalKind.SET_TOP_BOX,)), False),
    ],
)
async def test_what_was_lacking_goes_with_its_cause(phone, order, tx, cause, lacking, fits):
    tx.add(TechnicianSkill(technician_id=phone.technician.id, skill="copper", level=1))
    await tx.flush()
    visit_id = await phone.arrive(order)
    body = {"cause": cause, **lacking.said()}
    answer = await phone.post(f"/visits/{visit_id}/hand-back", **body)
    found = await fresh(tx, order)
    if not fits:
        assert answer.status_code == 422
        assert found.state == "on_site"
        return
    taken(answer)
    assert found.state == "located"
    assert (found.skills, found.terminals) == (
        ["copper"] if lacking.skill else [],
        list(lacking.terminals),
    )


async def test_a_skill_that_nobody_has_is_refused_and_nothing_is_written(phone, order, tx):
    visit_id = await phone.arrive(order)
    answer = await phone.post(
        f"/visits/{visit_id}/hand-back", cause="wrong_skill", missing_skill="fibra"
    )
    assert answer.status_code == 422
    assert answer.json()["facts"]["errors"][0]["field"] == "missing_skill"
    found = await fresh(tx, order)
    assert (found.state, found.skills) == ("on_site", [])


async def test_whoever_comes_next_sees_what_was_done_and_how_often_nobody_was_there(
    tx, app, http, clock, branch, phone, order
):
    visit_id = await phone.arrive(order)
    resume_at = (clock.now() + timedelta(hours=1)).isoformat()
    suspended = {"cause": "customer_absent", "resume_at": resume_at}
    taken(await phone.post(f"/visits/{visit_id}/suspend", **suspended))
    taken(await phone.post(f"/visits/{visit_id}/suspend", **suspended))
    clock.tick(timedelta(hours=1))
    taken(await phone.post(f"/visits/{visit_id}/resume"))
    progress: dict[str, Any] = {
        "measurements": {"optical_rx_power_dbm": -24.5},
        "checked": [],
        "note": None,
    }
    saved = await http.put(
        f"/v1/visits/{visit_id}/progress",
        json={**progress, "device_at": clock.now().isoformat()},
        headers=phone.headers,
    )
    assert saved.status_code == 200, saved.text
    taken(
        await phone.post(
            f"/visits/{visit_id}/hand-back", cause="customer_absent", note="下午三点后在家"
        )
    )
    assert (await phone.get(f"/work-orders/{order.id}/visits")).status_code == 404
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    await take_step(
        tx,
        await fresh(tx, order),
        Step.ASSIGN,
        now=clock.now(),
        holder_id=other.technician.id,
        planned_day=TODAY,
    )
    seen = (await other.get(f"/work-orders/{order.id}/visits")).json()
    assert seen["absences"] == 2
    [visit] = seen["visits"]
    assert (visit["outcome"], visit["outcome_code"], visit["note"]) == (
        "handed_back",
        "customer_absent",
        "下午三点后在家",
    )
    assert visit["technician_code"] == phone.technician.code
    assert visit["measurements"] == {"optical_rx_power_dbm": -24.5}
    [row] = (await other.get("/my/day")).json()["orders"]
    assert row["absences"] == 2
    url = f"/v1/work-orders/{order.id}/visits"
    for unit, status in ((branch, 200), (await make_org_unit(tx), 404)):
        headers = bearer(app, caller_for(Role.SUPERVISOR, unit))
        assert (await http.get(url, headers=headers)).status_code == status
    unknown = await other.get(f"/work-orders/{new_id()}/visits")
    assert unknown.status_code == 404
