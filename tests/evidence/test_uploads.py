"""Uploads by tus: what a library meets, what is refused, and what is left of it."""

import base64
import hashlib
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.core.db import new_id
from app.evidence.models import Evidence, EvidencePiece
from app.visits.models import WorkAssist
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.evidence import BYTES, Upload, photo, signature
from tests.make.races import COLLIDES
from tests.make.visits import make_assigned_order, make_phone


async def rows(tx, kind=Evidence):
    return (await tx.scalars(select(kind).execution_options(populate_existing=True))).all()


async def test_a_library_asks_what_is_spoken(http):
    answer = await http.options("/v1/evidence/uploads")
    assert (answer.status_code, answer.content) == (204, b"")
    said = {name: answer.headers[f"tus-{name}"] for name in ("resumable", "version", "max-size")}
    assert said == {"resumable": "1.0.0", "version": "1.0.0", "max-size": str(20 * 1024 * 1024)}
    assert answer.headers["tus-extension"] == (
        "creation,creation-with-upload,termination,checksum,expiration"
    )
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"


async def test_a_photo_goes_up_in_pieces(tx, upload, order, folder, jobs):
    going = upload(requirement="router", filename="光猫.jpg")
    answer = await going.announce()
    assert answer.status_code == 201
    assert answer.headers["location"] == going.url
    assert (answer.headers["upload-offset"], answer.headers["tus-resumable"]) == ("0", "1.0.0")
    assert answer.headers["upload-expires"] == "Thu, 05 Mar 2026 01:00:00 GMT"
    half = len(going.data) // 2
    answer = await going.send(going.data[:half], 0)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(half))
    # What was sent once is not taken twice: the library asks, and goes on from there.
    answer = await going.send(going.data[:half], 0)
    assert answer.status_code == 409
    assert answer.json()["type"] == "urn:yingwei:problem:upload-offset-differs"
    assert answer.headers["upload-offset"] == str(half)
    head = await going.ask("HEAD", going.url)
    assert (head.status_code, head.headers["upload-offset"]) == (200, str(half))
    assert head.headers["upload-length"] == str(len(going.data))
    assert head.headers["cache-control"] == "no-store"
    assert (
        "filename " + base64.b64encode("光猫.jpg".encode()).decode()
        in (head.headers["upload-metadata"])
    )
    answer = await going.send(going.data[half:], half)
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(going.data)))
    assert "upload-expires" not in answer.headers
    assert await going.stands() == len(going.data)
    (stored,) = await rows(tx)
    assert (stored.state, stored.requirement, stored.received) == (
        "stored",
        "router",
        len(going.data),
    )
    assert (stored.visit_id is not None, stored.org_unit_id) == (True, order.org_unit_id)
    assert await rows(tx, EvidencePiece) == []
    assert folder() == ["piece", "piece", "sent"]
    assert await jobs.work_off() == ["whole", "stored"]
    assert folder() == ["kept", "thumbnail"]


async def test_the_same_announcement_is_answered_like_the_first(tx, upload):
    going = upload()
    assert (await going.announce()).status_code == 201
    await going.send(going.data[:100], 0)
    answer = await going.announce()
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "100")
    # With its first bytes again, a library learns where it really stands.
    answer = await going.announce(first=going.data)
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "100")
    assert len(await rows(tx)) == 1
    for said in ({"requirement": "router"}, {"sha256": "0" * 64}, {"filename": "x.jpg"}):
        answer = await going.announce(**said)
        assert answer.status_code == 409
        assert answer.json()["type"] == "urn:yingwei:problem:same-id-other-content"
    assert len(await rows(tx)) == 1


async def test_an_announcement_that_collides_with_others_gets_through(
    upload, database, monkeypatch
):
    times, before_commit = [True], database.before_commit

    async def collides(tx, request):
        if times:
            times.pop()
            await tx.execute(COLLIDES)
        await before_commit(tx, request)

    monkeypatch.setattr(database, "before_commit", collides)
    going = upload()
    # Its first bytes come with it, and have not been read by then.
    answer = await going.announce(first=going.data)
    assert not times
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(going.data)))


async def test_what_is_there_already_costs_no_bytes(
    tx, app, http, clock, upload, phone, order, jobs
):
    first = await upload().whole()
    again = upload(first.data)
    answer = await again.announce(requirement="router")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(len(first.data)))
    elsewhere = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.acknowledge(elsewhere)
    third = Upload(phone, elsewhere, first.data)
    assert (await third.announce()).headers["upload-offset"] == str(len(first.data))
    # Nobody learns from an announcement what others have photographed.
    stranger = await make_phone(tx, app, http, clock)
    theirs = await make_assigned_order(tx, stranger.technician, now=clock.now())
    await stranger.acknowledge(theirs)
    fourth = Upload(stranger, theirs, first.data)
    assert (await fourth.announce()).headers["upload-offset"] == "0"
    assert (await fourth.send(first.data, 0)).status_code == 204
    await jobs.work_off()
    found = {each.id: each for each in await rows(tx)}
    assert {each.state for each in found.values()} == {"stored"}
    assert {each.blob_sha256 for each in found.values()} == {first.sha256}
    # The same picture for several orders is pointed out.
    assert all(found[each.id].reused for each in (first, third, fourth))


async def test_a_checksum_is_of_one_request(upload, folder):
    going = upload()
    await going.announce()
    part = going.data[:1000]
    right = "sha1 " + base64.b64encode(hashlib.sha1(part).digest()).decode()
    wrong = "sha256 " + base64.b64encode(hashlib.sha256(b"else").digest()).decode()
    answer = await going.send(part, 0, **{"upload-checksum": wrong})
    assert answer.status_code == 460
    assert answer.json()["type"] == "urn:yingwei:problem:upload-checksum-differs"
    assert (await going.stands(), folder()) == (0, [])
    answer = await going.send(part, 0, **{"upload-checksum": right})
    assert (answer.status_code, await going.stands()) == (204, 1000)
    for header in ("md5 " + wrong.split()[1], "sha1 %%%", "sha1"):
        answer = await going.send(going.data[1000:], 1000, **{"upload-checksum": header})
        assert answer.status_code in (400, 460)
    assert await going.stands() == 1000


async def test_where_no_patch_gets_through(upload, tx):
    going = upload()
    await going.announce()

    async def post(method, content=b"", **headers):
        given = {
            **going.phone.headers,
            "tus-resumable": "1.0.0",
            "content-type": BYTES,
            "x-http-method-override": method,
            **headers,
        }
        return await going.phone.http.post(going.url, headers=given, content=content)

    answer = await post("PATCH", going.data[:10], **{"upload-offset": "0"})
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "10")
    assert (await post("HEAD")).headers["upload-offset"] == "10"
    assert (await post("PATCH", b"x", **{"upload-offset": "ten"})).status_code == 400
    assert (await post("PUT")).status_code == 405
    assert (await post("DELETE")).status_code == 204
    assert [each.state for each in await rows(tx)] == ["withdrawn"]


@pytest.mark.parametrize(
    ("headers", "said", "status", "slug"),
    [
        ({"tus-resumable": "0.2.2"}, {}, 412, "tus-version"),
        ({"upload-length": "0"}, {}, 422, "invalid"),
        ({"upload-length": str(20 * 1024 * 1024 + 1)}, {}, 413, "too-large"),
        ({"upload-metadata": "kind %%%"}, {}, 400, "malformed"),
        ({"upload-metadata": "kind cGhvdG8=,kind cGhvdG8="}, {}, 400, "malformed"),
        ({"upload-metadata": "kind AA=="}, {}, 400, "malformed"),
        ({"upload-metadata": ""}, {}, 422, "invalid"),
        ({}, {"requirement": "cabinet"}, 422, "invalid"),
        ({}, {"requirement": "router", "kind": "signature"}, 422, "invalid"),
        ({}, {"kind": "film"}, 422, "invalid"),
        ({}, {"sha256": "ABC"}, 422, "invalid"),
        ({}, {"taken_at": "2026-03-02T09:00:00"}, 422, "invalid"),
        ({}, {"lon": 112.6, "lat": 28.9}, 422, "invalid"),
        ({}, {"visit_id": UUID(int=7)}, 422, "invalid"),
        ({}, {"work_order_id": UUID(int=7)}, 404, "not-found"),
    ],
)
async def test_what_cannot_be_announced(tx, upload, headers, said, status, slug):
    answer = await upload().announce(headers=headers, **said)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:yingwei:problem:{slug}")
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers.get("tus-version") == ("1.0.0" if status == 412 else None)
    assert await rows(tx) == []


async def test_what_cannot_be_sent(upload, tx, folder):
    going = upload()
    await going.announce()
    answers = [
        await going.send(b"x", 0, **{"content-type": "image/jpeg"}),
        await going.send(b"x", 1),
        await going.send(going.data + b"more", 0),
        await going.send(b"x", -1),
    ]
    assert [each.status_code for each in answers] == [415, 409, 413, 422]
    assert (await going.stands(), folder()) == (0, [])


async def test_uploads_are_the_holders_alone(tx, app, http, clock, upload, phone, order):
    going = upload()
    stranger = await make_phone(tx, app, http, clock)
    assert (await Upload(stranger, order, photo()).announce()).status_code == 404
    await going.announce()
    theirs = Upload(stranger, order, going.data, id=going.id)
    answers = [
        await theirs.ask("HEAD", going.url),
        await theirs.send(going.data, 0),
        await theirs.ask("DELETE", going.url),
        await theirs.ask("HEAD", f"/v1/evidence/uploads/{new_id()}"),
    ]
    assert [each.status_code for each in answers] == [404] * 4
    # That an id is taken is all that a stranger learns, on an order of their own.
    own = await make_assigned_order(tx, stranger.technician, now=clock.now())
    await stranger.acknowledge(own)
    assert (await theirs.announce(work_order_id=own.id)).status_code == 409
    (left,) = await rows(tx)
    assert (left.state, left.received, left.technician_id) == (
        "announced",
        0,
        phone.technician.id,
    )


async def test_whoever_has_joined_sends_pictures_of_the_order_too(
    tx, app, http, clock, branch, phone, order
):
    helper = await make_phone(tx, app, http, clock, org_unit=branch)
    assist = WorkAssist(
        work_order_id=order.id,
        technician_id=helper.technician.id,
        day=order.planned_day,
        minutes=30,
        asked_at=clock.now(),
    )
    tx.add(assist)
    await tx.flush()
    assert (await Upload(helper, order, photo()).announce()).status_code == 404
    assist.joined_at = clock.now()
    await tx.flush()
    await Upload(helper, order, photo()).whole()
    listed = f"/v1/work-orders/{order.id}/evidence"
    assert (await http.get(listed, headers=helper.headers)).status_code == 200
    assist.ended_at = clock.now()
    await tx.flush()
    assert (await Upload(helper, order, photo(seed=1)).announce()).status_code == 404


async def test_when_evidence_is_taken(tx, upload, phone, order, clock):
    waiting = await make_assigned_order(tx, phone.technician, now=clock.now())
    early = await Upload(phone, waiting, photo()).announce()
    assert (early.status_code, early.json()["facts"]["state"]) == (409, "assigned")
    going = upload(requirement="router")
    await going.announce()
    visit_id = (await rows(tx))[0].visit_id
    await phone.complete(visit_id)
    # Its bytes may follow, and so may another photo; but nothing is taken back any more.
    await going.send(going.data[:10], 0)
    late = upload(photo(seed=2))
    assert (await late.announce()).status_code == 201
    answer = await going.ask("DELETE", going.url)
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:yingwei:problem:evidence-closed",
    )
    clock.tick(timedelta(hours=71))
    assert (await going.send(going.data[10:20], 10)).status_code == 204
    clock.tick(timedelta(hours=2))
    answer = await going.send(going.data[20:], 20)
    assert (answer.status_code, answer.json()["type"]) == (
        409,
        "urn:yingwei:problem:evidence-closed",
    )
    assert (await upload(photo(seed=3)).announce()).status_code == 409


async def test_bytes_of_what_was_announced_follow_whoever_holds_the_order(upload, phone, order, tx):
    going = upload()
    await going.announce()
    answer = await phone.post(f"/work-orders/{order.id}/hand-back", cause="customer_absent")
    assert answer.status_code == 200
    assert (await going.announce()).status_code == 201
    assert (await going.send(going.data, 0)).status_code == 204
    assert [(each.state, each.late) for each in await rows(tx)] == [("stored", False)]


async def test_what_a_former_holder_brings_home_is_evidence_of_the_order(
    tx, app, http, clock, branch, phone, order, jobs, numbers
):
    await numbers({"evidence.most_files": 1})
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    moved = await make_assigned_order(
        tx, phone.technician, now=clock.now(), template_id=order.template_id
    )
    now, day = clock.now(), moved.planned_day
    await take_step(tx, moved, Step.ASSIGN, now=now, holder_id=other.technician.id, planned_day=day)
    # It was taken in a visit that came too late itself.
    said = {
        "requirement": "router",
        "visit_id": new_id(),
        "taken_at": (clock.now() - timedelta(hours=3)).isoformat(),
    }
    brought = Upload(phone, moved, photo(), said)
    assert (await brought.announce()).status_code == 201
    # The new holder's own pictures do not count with it.
    visit_id = await other.restore(moved)
    assert (await Upload(other, moved, photo(seed=1)).announce()).status_code == 201
    path = f"/v1/work-orders/{moved.id}/evidence"
    shown = (await http.get(path, headers=other.headers)).json()["evidence"]
    assert sorted(one["late"] for one in shown) == [False, True]
    assert (await http.get(path, headers=phone.headers)).status_code == 404
    await other.complete(visit_id)
    clock.tick(timedelta(hours=71))
    assert (await brought.send(brought.data[:9], 0)).status_code == 204
    clock.tick(timedelta(hours=2))
    # Whenever its bytes come, they are taken.
    assert (await brought.announce()).status_code == 201
    assert (await brought.send(brought.data[9:], 9)).status_code == 204
    await jobs.work_off()
    late, _ = sorted(await rows(tx), key=lambda row: not row.late)
    assert (late.state, late.late, late.visit_id, late.old) == ("stored", True, None, None)


async def test_an_order_has_so_many_files(tx, upload, numbers):
    await numbers({"evidence.most_files": 2})
    first, second = upload(photo(seed=1)), upload(photo(seed=2))
    await first.announce()
    await second.announce()
    answer = await upload(photo(seed=3)).announce()
    assert (answer.status_code, answer.json()["facts"]) == (409, {"most": 2})
    assert len(await rows(tx)) == 2
    await first.ask("DELETE", first.url)
    assert (await upload(photo(seed=3)).announce()).status_code == 201


async def test_a_wrong_picture_is_refused_and_nothing_is_kept_of_it(upload, tx, folder, jobs):
    wrong = upload(b"table of contents, and no picture at all")
    answer = await wrong.announce(first=wrong.data)
    assert (answer.status_code, answer.json()["facts"]["fault"]) == (422, "not_a_picture")
    assert await jobs.work_off() == ["whole", "left"]
    assert folder() == []
    # Told again, however it is asked.
    for answer in (await wrong.announce(), await wrong.send(b"x", 0)):
        assert (answer.status_code, answer.json()["facts"]["fault"]) == (422, "not_a_picture")
    (row,) = await rows(tx)
    assert (row.state, row.blob_sha256) == ("refused", None)
    assert await rows(tx, EvidencePiece) == []
    other = upload(photo(seed=4), sha256="0" * 64)
    answer = await other.announce(first=other.data)
    assert answer.json()["facts"]["fault"] == "other_bytes"
    blank = upload(signature(strokes=False), kind="signature")
    answer = await blank.announce(first=blank.data)
    assert answer.json()["facts"]["fault"] == "blank"


async def test_what_was_taken_back_is_gone(upload, tx, folder, jobs):
    going, stored = upload(), await upload(photo(seed=5)).whole()
    await going.announce()
    await going.send(going.data[:500], 0)
    await jobs.work_off()
    for one in (going, going, stored):
        assert (await one.ask("DELETE", one.url)).status_code == 204
    await jobs.work_off()
    assert folder() == []
    answers = [
        await going.ask("HEAD", going.url),
        await going.send(b"x", 500),
        await going.announce(),
    ]
    assert [each.status_code for each in answers] == [410] * 3
    # The same picture under a new id comes anew.
    again = await upload(stored.data).whole()
    await jobs.work_off()
    assert folder() == ["kept", "thumbnail"]
    assert {each.state for each in await rows(tx) if each.id == again.id} == {"stored"}
