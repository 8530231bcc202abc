"""Evidence as people see it: who sees what, what is pointed out, and what each look leaves."""

from io import BytesIO

import pytest
from PIL import Image
from sqlalchemy import select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.workorders.models import WorkOrder
from app.worktypes.rules import Acceptance
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.evidence import (
    AT_THE_DOOR,
    Upload,
    exif_of,
    make_template,
    photo,
    router,
    signature,
)
from tests.make.visits import LAT, LON, make_assigned_order, make_phone


@pytest.fixture
def supervisor(app, branch):
    return bearer(app, caller_for(Role.SUPERVISOR, branch))


def listed(answer):
    assert answer.status_code == 200, answer.text
    return answer.json()["evidence"]


async def test_a_photo_is_compared_with_the_door_and_read_without_its_position(
    tx, http, upload, order, jobs, supervisor, phone
):
    sent = photo(exif=AT_THE_DOOR)
    going = await upload(sent, requirement="router").whole()
    path = f"/v1/work-orders/{order.id}/evidence"
    (before,) = listed(await http.get(path, headers=supervisor))
    assert (before["state"], before["content"], before["far"]) == ("stored", None, None)
    answer = await http.get(f"/v1/evidence/{going.id}/content", headers=supervisor)
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:yingwei:problem:evidence-not-ready",
    )
    await jobs.work_off()
    (shown,) = listed(await http.get(path, headers=supervisor))
    assert shown["distance_m"] == pytest.approx(97.6, abs=1)
    assert (shown["far"], shown["old"], shown["reused"]) == (False, False, False)
    assert (shown["position_from"], shown["requirement"]) == ("picture", "router")
    assert shown["taken_at"].startswith("2026-03-02T00:55:00")
    for address, kind in (("content", "image/jpeg"), ("thumbnail", "image/webp")):
        answer = await http.get(shown[address], headers=supervisor)
        assert (answer.status_code, answer.headers["content-type"]) == (200, kind)
        assert answer.headers["cache-control"] == "private, no-cache"
        assert not Image.open(BytesIO(answer.content)).getexif()
        known = {**supervisor, "if-none-match": answer.headers["etag"]}
        again = await http.get(shown[address], headers=known)
        assert (again.status_code, again.content) == (304, b"")
    reads = (
        await tx.scalars(select(AuditEntry).where(AuditEntry.purpose == f"work_order:{order.id}"))
    ).all()
    looks = [entry for entry in reads if entry.action.startswith("evidence_")]
    assert [entry.action for entry in looks] == ["evidence_content", "evidence_thumbnail"]
    assert {tuple(entry.fields) for entry in looks} == {(f"photo:{going.id}",)}


async def test_what_is_far_old_or_only_said_is_marked(upload, jobs, http, order, supervisor):
    far = exif_of(taken_at="2026:03:01 18:00:00", point=(LON + 0.1, LAT))
    await upload(photo(seed=1, exif=far)).whole()
    await upload(photo(seed=2)).whole(
        lon=LON, lat=LAT, coordsys="wgs84", taken_at="2026-03-02T09:05:00+08:00"
    )
    await upload(photo(seed=3)).whole()
    await jobs.work_off()
    found = listed(await http.get(f"/v1/work-orders/{order.id}/evidence", headers=supervisor))
    told = [(one["far"], one["old"], one["position_from"]) for one in found]
    assert sorted(told, key=str) == sorted(
        [(True, True, "picture"), (False, False, "phone"), (None, None, None)], key=str
    )


async def test_others_orders_and_pictures_are_not_found(
    tx, app, http, clock, upload, order, jobs, phone
):
    going = await upload().whole()
    await jobs.work_off()
    elsewhere = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    stranger = (await make_phone(tx, app, http, clock)).headers
    paths = [
        f"/v1/work-orders/{order.id}/evidence",
        f"/v1/evidence/{going.id}/content",
        f"/v1/evidence/{going.id}/thumbnail",
    ]
    for headers in (elsewhere, stranger):
        answers = [await http.get(path, headers=headers) for path in paths]
        assert [each.status_code for each in answers] == [404] * 3
    assert [(await http.get(path, headers=phone.headers)).status_code for path in paths] == [
        200
    ] * 3
    absent = await http.get(f"/v1/evidence/{new_id()}/content", headers=phone.headers)
    assert absent.status_code == 404
    # Whoever has no order any more has no business with the customer's home.
    await phone.post(f"/work-orders/{order.id}/hand-back", cause="wrong_skill")
    assert [(await http.get(path, headers=phone.headers)).status_code for path in paths] == [
        404
    ] * 3


async def test_supervisors_see_what_has_not_come(tx, app, http, clock, phone, supervisor):
    orders = []
    for number in range(3):
        template = await make_template(tx, router())
        held = await make_assigned_order(
            tx, phone.technician, now=clock.now(), template_id=template.id
        )
        visit_id = await phone.arrive(held)
        going = Upload(phone, held, photo(seed=number), {"requirement": "router"})
        await going.announce()
        await going.send(going.data[:100], 0)
        if number < 2:
            await phone.complete(visit_id)
        orders.append(held)
        if number == 2:
            await phone.post(
                f"/visits/{visit_id}/suspend", cause="other", resume_at="2026-03-03T09:00:00+08:00"
            )
    path = "/v1/evidence/outstanding"
    with counted(app.state.database) as statements:
        page = (await http.get(f"{path}?size=1", headers=supervisor)).json()
    assert len(statements) <= 3
    assert [one["received"] for one in page["outstanding"]] == [100]
    following = f"{path}?size=1&page_token={page['next_page_token']}"
    rest = (await http.get(following, headers=supervisor)).json()
    seen = [one["work_order_id"] for one in page["outstanding"] + rest["outstanding"]]
    assert seen == [str(held.id) for held in orders[:2]]
    assert rest["next_page_token"] is None
    elsewhere = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    assert (await http.get(path, headers=elsewhere)).json()["outstanding"] == []
    assert (await http.get(path, headers=phone.headers)).status_code == 403


async def completing(tx, clock, phone, *requirements, acceptance=Acceptance.NONE):
    template = await make_template(tx, *requirements, acceptance=acceptance)
    order = await make_assigned_order(
        tx, phone.technician, now=clock.now(), template_id=template.id
    )
    return order, await phone.arrive(order)


async def missing(phone, visit_id):
    answer = await phone.post(f"/visits/{visit_id}/complete", outcome_code="fixed")
    if answer.status_code == 200:
        return []
    assert answer.json()["type"] == "urn:yingwei:problem:not-complete"
    return [(one["wanting"], one["code"]) for one in answer.json()["facts"]["missing"]]


async def test_completing_asks_for_the_photos_of_the_template(tx, clock, phone):
    order, visit_id = await completing(tx, clock, phone, router(2, may_follow=False))
    first, second = (Upload(phone, order, photo(seed=number)) for number in (1, 2))
    assert await missing(phone, visit_id) == [("evidence", "router")]
    await first.whole(requirement="router")
    # The same picture again shows nothing more, and a photo is no signature.
    await Upload(phone, order, first.data).announce(requirement="router")
    signing = await Upload(phone, order, first.data).announce(kind="signature")
    assert (signing.status_code, signing.headers["upload-offset"]) == (201, "0")
    await second.announce(requirement="router")
    assert await missing(phone, visit_id) == [("evidence", "router")]
    assert (await tx.get(WorkOrder, order.id, populate_existing=True)).state == "on_site"
    await second.send(second.data, 0)
    assert await missing(phone, visit_id) == []


async def test_a_signature_accepts_the_work(tx, clock, phone):
    order, visit_id = await completing(tx, clock, phone, acceptance=Acceptance.SIGNATURE)
    signed = Upload(phone, order, signature())
    assert await missing(phone, visit_id) == [("acceptance", "signature")]
    assert (await signed.announce(kind="signature")).status_code == 201
    assert await missing(phone, visit_id) == []
