"""Work in progress over HTTP: kept between steps, counted by whoever comes next, judged at last."""

from datetime import timedelta

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.visits.models import Visit
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.visits import TODAY, make_assigned_order, make_phone, taken
from tests.make.worktypes import content, make_template

POWER = "optical_rx_power_dbm"


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def template(tx):
    return await make_template(tx)


@pytest.fixture
async def order(tx, phone, template, clock):
    return await make_assigned_order(tx, phone.technician, now=clock.now(), template_id=template.id)


async def keep(phone, visit_id, **body):
    body.setdefault("device_at", phone.clock.now().isoformat())
    return await phone.http.put(f"/v1/visits/{visit_id}/progress", json=body, headers=phone.headers)


def lacking(answer, closing="fixed"):
    (found,) = (one for one in answer["closings"] if one["code"] == closing)
    return [(one["wanting"], one["code"]) for one in found["missing"]]


CHECK, MEASURED = ("check", "tidy"), ("measurement", POWER)


async def test_what_is_asked_for_is_read_by_its_holder_and_supervisors(
    tx, app, http, clock, phone, template, order, branch
):
    read = (await phone.get(f"/work-orders/{order.id}/template")).json()
    assert (read["id"], read["minutes"]) == (str(template.id), 55)
    assert read["checklist"] == [{"code": "tidy", "words": {"zh": "整理", "en": "tidied up"}}]
    assert read["closing_codes"][1]["waives"] == ["tidy"]
    without = await make_assigned_order(tx, phone.technician, now=clock.now())
    read = (await phone.get(f"/work-orders/{without.id}/template")).json()
    assert (read["id"], read["work_type"]) == (None, "repair")

    other = await make_phone(tx, app, http, clock, org_unit=branch)
    assert (await other.get(f"/work-orders/{order.id}/template")).status_code == 404
    for unit, status in ((branch, 200), (await make_org_unit(tx), 404)):
        account = await make_account(tx, unit, role=Role.SUPERVISOR)
        headers = bearer(app, caller_for(Role.SUPERVISOR, unit, account_id=account.id))
        answer = await http.get(f"/v1/work-orders/{order.id}/template", headers=headers)
        assert answer.status_code == status
    assert (await phone.get(f"/work-orders/{new_id()}/template")).status_code == 404


async def test_progress_is_kept_and_what_comes_late_undoes_nothing(tx, phone, order, clock):
    visit_id = await phone.arrive(order)
    answer = (await phone.get(f"/visits/{visit_id}/progress")).json()
    assert (answer["saved_at"], answer["checked"]) == (None, [])
    assert lacking(answer) == [CHECK, MEASURED]
    assert lacking(answer, "no_fault_found") == [MEASURED]

    early, clock_then = clock.now().isoformat(), clock.now()
    clock.tick(timedelta(minutes=5))
    first = await keep(phone, visit_id, checked=["tidy"], note="分光器在4楼")
    assert first.status_code == 200
    assert lacking(first.json()) == [MEASURED]
    assert (
        await keep(phone, visit_id, checked=["tidy"], note="分光器在4楼")
    ).json() == first.json()
    late = await keep(phone, visit_id, checked=[], device_at=early)
    assert late.json()["checked"] == ["tidy"]
    # A clock that ran ahead keeps nothing out once it is right.
    ahead = (clock_then + timedelta(hours=2)).isoformat()
    await keep(phone, visit_id, measurements={POWER: -30}, device_at=ahead)
    clock.tick(timedelta(minutes=1))
    answer = (await keep(phone, visit_id, measurements={POWER: -31})).json()
    assert answer["measurements"] == [{"measure": POWER, "value": -31.0}]
    assert (answer["checked"], answer["note"]) == ([], None)
    (fixed, _) = answer["closings"]
    assert [(one["wanting"], one["code"]) for one in fixed["warnings"]] == [
        ("out_of_limits", POWER)
    ]
    order_then = await tx.get(WorkOrder, order.id, populate_existing=True)
    assert order_then.state == "on_site"


async def test_completing_without_all_is_refused_in_the_callers_language(tx, phone, order):
    visit_id = await phone.arrive(order)
    for lang, words in (("zh", "整理"), ("en", "tidied up")):
        answer = await phone.post(f"/visits/{visit_id}/complete", lang=lang, outcome_code="fixed")
        assert answer.status_code == 409
        problem = answer.json()
        assert problem["type"].endswith("not-complete")
        missing = problem["facts"]["missing"]
        assert [(one["wanting"], one["code"]) for one in missing] == [CHECK, MEASURED]
        assert missing[0]["words"] == words
    assert missing[1]["words"] == "optical power received (dBm)"
    visit = await tx.get(Visit, visit_id, populate_existing=True)
    assert (visit.ended_at, visit.checked) == (None, [])
    answer = await phone.post(f"/visits/{visit_id}/complete", outcome_code="vanished")
    assert answer.status_code == 422

    body = {
        "outcome_code": "fixed",
        "checked": ["tidy"],
        "measurements": {POWER: -30.5},
        "device_at": phone.clock.now().isoformat(),
    }
    done = taken(await phone.post(f"/visits/{visit_id}/complete", **body))
    assert done["warnings"] == [
        {
            "wanting": "out_of_limits",
            "code": POWER,
            "words": "optical power received (dBm) -30.5 is below -27",
        }
    ]
    again = taken(await phone.post(f"/visits/{visit_id}/complete", lang="zh", **body))
    assert again["warnings"][0]["words"] == "光衰（dBm） -30.5，低于下限 -27"


async def test_the_second_visit_keeps_what_the_first_has_done(
    tx, app, http, clock, phone, order, branch
):
    visit_id = await phone.arrive(order)
    await keep(phone, visit_id, checked=["tidy"], measurements={POWER: -19}, note="差一根跳线")
    resume_at = (clock.now() + timedelta(hours=1)).isoformat()
    await phone.post(f"/visits/{visit_id}/suspend", cause="customer_absent", resume_at=resume_at)
    assert lacking((await phone.get(f"/visits/{visit_id}/progress")).json()) == []
    taken(await phone.post(f"/visits/{visit_id}/hand-back", cause="resource_missing"))
    visit = await tx.get(Visit, visit_id, populate_existing=True)
    assert (visit.outcome, visit.note) == ("handed_back", "差一根跳线")

    # Sent again after the visit has ended: what is there already is answered, more is refused.
    assert (await keep(phone, visit_id, checked=["tidy"])).status_code == 200
    refused = await keep(phone, visit_id, checked=["more"])
    assert (refused.status_code, refused.json()["type"]) == (
        409,
        "urn:yingwei:problem:visit-ended",
    )

    other = await make_phone(tx, app, http, clock, org_unit=branch)
    assert (await keep(other, visit_id, checked=["tidy"])).status_code == 404
    assert (await other.get(f"/visits/{visit_id}/progress")).status_code == 404
    order = await tx.get(WorkOrder, order.id, populate_existing=True)
    to, now = other.technician.id, clock.now()
    await take_step(tx, order, Step.ASSIGN, now=now, holder_id=to, planned_day=TODAY)
    second = await other.arrive(order)
    answer = (await other.get(f"/visits/{second}/progress")).json()
    assert (answer["checked"], lacking(answer)) == (["tidy"], [])
    assert (await other.complete(second))["state"] == "completed"


async def test_an_order_keeps_the_version_it_began_with(tx, phone, template, order):
    await make_template(
        tx, code=template.code, version=2, content=content(checklist=[], closing_codes=[])
    )
    read = (await phone.get(f"/work-orders/{order.id}/template")).json()
    assert (read["id"], len(read["checklist"])) == (str(template.id), 1)
