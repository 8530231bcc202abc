"""A line opened from the door over HTTP: asked, answered, failed, gone without, and tested."""

import dataclasses
from datetime import timedelta

from sqlalchemy import func, select

from app.activation.client import ActivationClient
from app.activation.models import Activation, ActivationOverride
from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.workorders.models import WorkOrder
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import READ
from app.worktypes.rules import BUILT_IN, WorkType
from tests.activation.conftest import TOKEN
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.visits import TODAY, make_assigned_order, make_phone


def refused(answer, slug, status=409):
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["type"] == f"urn:yingwei:problem:{slug}"
    return body["facts"]


async def number_of(tx, table):
    return await tx.scalar(select(func.count()).select_from(table))


# --- asking ---------------------------------------------------------------------------------------


async def test_an_install_is_complete_once_its_line_is_open(tx, door, platform, clock):
    asking = dataclasses.replace(BUILT_IN[WorkType.INSTALL], activation=True)
    template = WorkTemplate(
        code="install",
        version=1,
        work_type=WorkType.INSTALL,
        valid_from=TODAY,
        content=READ.dump_python(asking, mode="json"),
    )
    tx.add(template)
    await tx.flush()
    order = await tx.get_one(WorkOrder, door.order_id, populate_existing=True)
    order.work_type, order.template_id = WorkType.INSTALL, template.id
    await tx.commit()

    async def completing():
        return await door.phone.post(f"/visits/{door.visit_id}/complete", outcome_code="installed")

    async def missing():
        (one,) = refused(await completing(), "not-complete")["missing"]
        return one["wanting"], one["code"]

    assert await missing() == ("activation", "not_asked")
    asked = await door.ask()
    assert (asked["state"], asked["attempts"], asked["code"]) == ("asked", 0, None)
    assert await missing() == ("activation", "under_way")
    answered = await door.work(asked["id"])
    assert (answered["state"], answered["next_try_at"]) == ("provisioned", None)
    assert platform.asks() == [("HWTC-1", None, 1)]
    assert (await completing()).status_code == 200


async def test_a_phone_that_polls_is_told_when_there_is_news(door):
    asked = await door.ask()
    url = f"/activations/{asked['id']}"
    first = await door.phone.get(url)
    known = {"if-none-match": first.headers["etag"]}
    assert (await door.phone.get(url, **known)).status_code == 304
    await door.work(asked["id"])
    assert (await door.phone.get(url, **known)).status_code == 200


async def test_a_failure_says_what_to_do_and_the_next_ask_can_succeed(door, platform):
    platform.dial(no_light=1)
    failed = await door.work((await door.ask())["id"])
    assert (failed["state"], failed["code"]) == ("failed", "no_light")
    assert failed["what"] == "No light from the terminal arrives at the port"
    assert failed["then"].startswith("Check fibre")
    platform.dial()
    again = await door.work((await door.ask())["id"])
    assert again["state"] == "provisioned"
    listed = await door.phone.get(f"/work-orders/{door.order_id}/activations")
    assert [one["state"] for one in listed.json()["activations"]] == ["provisioned", "failed"]


async def test_the_same_ask_again_is_one_ask_and_other_content_is_refused(tx, door):
    asked = await door.ask()
    assert (await door.ask(id=asked["id"]))["id"] == asked["id"]
    refused(await door.post(id=asked["id"], loid="SZ02"), "same-id-other-content")
    assert await number_of(tx, Activation) == 1
    await door.work(asked["id"])
    assert (await door.ask(id=asked["id"]))["state"] == "provisioned"


async def test_an_ask_that_never_left_gives_way_to_a_later_one(tx, door):
    first = await door.ask(serial_number="HWTC-8")
    second = await door.ask(serial_number="HWTC-9")
    assert (await door.read(first["id"]))["code"] == "replaced"
    assert (await door.work(first["id"]))["attempts"] == 0
    assert (await door.work(second["id"]))["state"] == "provisioned"


async def test_an_ask_that_may_have_arrived_is_waited_for(tx, door, platform):
    platform.dial(hang_after=1)
    lost = await door.work((await door.ask())["id"])
    assert (lost["state"], lost["code"]) == ("unknown", "platform_away")
    facts = refused(await door.post(serial_number="HWTC-9"), "activation-under-way")
    assert facts == {"id": lost["id"], "state": "unknown"}
    assert await number_of(tx, Activation) == 1


async def test_a_line_has_to_be_named(tx, door):
    refused(await door.post(loid=None), "invalid", 422)
    assert await number_of(tx, Activation) == 0
    assert (await door.ask(loid=None, service_number="0755"))["loid"] is None


async def test_it_is_asked_at_the_door_and_nowhere_else(tx, door, app, http, clock):
    on_the_way = await make_assigned_order(tx, door.phone.technician, now=clock.now())
    stranger = await make_phone(tx, app, http, clock)
    await tx.commit()
    asked = await door.ask()
    body = {"id": str(new_id()), "loid": "SZ01", "serial_number": "HWTC-1"}
    why = {"id": str(new_id()), "cause": "platform_down"}

    async def both(phone, visit_id, slug, status=409):
        refused(await phone.post(f"/visits/{visit_id}/activations", **body), slug, status)
        refused(await phone.post(f"/visits/{visit_id}/activation-override", **why), slug, status)

    await both(stranger, door.visit_id, "not-found", 404)
    await both(door.phone, new_id(), "not-found", 404)
    assert (await stranger.get(f"/activations/{asked['id']}")).status_code == 404
    seen = await stranger.get(f"/work-orders/{door.order_id}/activations")
    assert seen.json() == {"activations": []}
    later = (clock.now() + timedelta(hours=1)).isoformat()
    await door.phone.post(f"/visits/{door.visit_id}/suspend", cause="other", resume_at=later)
    await both(door.phone, door.visit_id, "not-at-the-door")
    visit_id = await door.phone.set_out(on_the_way)
    await both(door.phone, visit_id, "not-at-the-door")
    await door.phone.post(f"/visits/{visit_id}/hand-back", cause="other")
    await both(door.phone, visit_id, "visit-ended")
    assert await number_of(tx, Activation) == 1
    assert await number_of(tx, ActivationOverride) == 0
    # A lost answer is given again, wherever one is by then.
    assert (await door.ask(id=asked["id"]))["id"] == asked["id"]


# --- going without --------------------------------------------------------------------------------


async def test_an_order_that_goes_without_is_marked_and_supervisors_see_why(
    tx, door, app, http, platform
):
    platform.dial(error_before=1)
    lost = await door.work((await door.ask())["id"])
    url = f"/visits/{door.visit_id}/activation-override"
    refused(await door.phone.post(url, id=str(new_id()), cause="other"), "invalid", 422)
    why = {"id": str(new_id()), "cause": "platform_down", "note": "told by the back office"}
    first = await door.phone.post(url, **why)
    assert first.status_code == 201
    assert (await door.phone.post(url, **why)).json() == first.json()
    refused(await door.phone.post(url, **{**why, "note": None}), "same-id-other-content")

    order = await tx.get_one(WorkOrder, door.order_id)
    branch = await tx.get_one(OrgUnit, order.org_unit_id)
    me = {**bearer(app, caller_for(Role.SUPERVISOR, branch)), "accept-language": "en"}

    async def listed(**query):
        answer = await http.get("/v1/activation-overrides", params=query, headers=me)
        return answer.json()["overrides"]

    (row,) = await listed(cause="platform_down")
    assert row["external_id"] == order.external_id
    assert row["technician_name"] == door.phone.technician.name
    assert (row["words"], row["note"]) == ("The platform is down", "told by the back office")
    assert row["active_by_now"] is False
    assert await listed(cause="other") == []
    # The platform comes back, and the line is opened after all.
    platform.dial()
    assert (await door.work(lost["id"], later=True))["state"] == "provisioned"
    assert (await listed())[0]["active_by_now"] is True
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    answer = await http.get("/v1/activation-overrides", headers=stranger)
    assert answer.json()["overrides"] == []


# --- testing a line -------------------------------------------------------------------------------


async def test_a_technician_tests_the_line(tx, door, app, platform, http, clock):
    async def test(phone=door.phone, **line):
        url = f"/v1/visits/{door.visit_id}/line-tests"
        return await http.post(url, json=line, headers={**phone.headers, "accept-language": "en"})

    facts = refused(await test(), "line-test-unavailable", 503)
    assert facts["reason"] == "no platform is set"
    async with ActivationClient(platform.url, token=TOKEN, time_limit=1.0) as client:
        app.state.activation = client
        online = (await test()).json()
        assert online["online"] is True
        assert -25 <= online["optical_rx_power_dbm"] <= -15
        # The line that was asked for last, rather than the order's number.
        await door.ask(loid="SZ77")
        setting = "INSERT INTO lines (line, online) VALUES ('SZ77', 0)"
        platform.app.state.memory.db.execute(setting)
        assert (await test()).json()["online"] is False
        assert (await test(service_number="0755")).json()["online"] is True
        platform.dial(line_unknown=1)
        refused(await test(loid="nobodys"), "line-not-known")
        platform.dial(delay_seconds=5)
        away = await test()
        refused(away, "line-test-unavailable", 503)
        assert away.headers["retry-after"] == "10"
        stranger = await make_phone(tx, app, http, clock)
        await tx.commit()
        refused(await test(stranger), "not-found", 404)
    app.state.activation = None
