"""What becomes of evidence with time: uploads end, pictures are forgotten, records stay."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.errors import Unavailable
from app.evidence import jobs as periodic
from app.evidence.models import Blob, Evidence, EvidencePiece
from app.evidence.rules import PictureFault, PictureRefused
from app.evidence.service.looking import look
from app.evidence.service.settling import settle
from app.evidence.storage import Storage
from tests.make.auth import bearer, caller_for
from tests.make.evidence import AT_THE_DOOR, Upload, photo
from tests.make.visits import make_assigned_order


async def states(tx):
    found = await tx.scalars(select(Evidence).execution_options(populate_existing=True))
    return sorted(one.state.value for one in found)


async def test_an_upload_that_does_not_come_ends_and_can_begin_anew(
    tx, upload, jobs, folder, clock
):
    going = upload()
    await going.announce()
    await going.send(going.data[:700], 0)
    clock.tick(timedelta(hours=71))
    await going.send(going.data[700:900], 700)  # each piece gives it more time
    clock.tick(timedelta(hours=71))
    await periodic.expire(jobs.worker)
    assert await states(tx) == ["announced"]
    clock.tick(timedelta(hours=2))
    assert (await going.send(going.data[900:], 900)).status_code == 410
    await periodic.expire(jobs.worker)
    assert await states(tx) == ["expired"]
    assert (await going.ask("HEAD", going.url)).status_code == 410
    # Announced again before its files are removed, or after: it begins with its first byte.
    answer = await going.announce()
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "0")
    assert await jobs.work_off() == ["left"]
    assert (await going.send(going.data, 0)).status_code == 204
    await jobs.work_off()
    assert (await states(tx), folder()) == (["stored"], ["kept", "thumbnail"])


async def test_files_of_an_upload_that_ended_are_removed(tx, upload, jobs, folder, clock):
    going = upload()
    await going.announce()
    await going.send(going.data[:700], 0)
    assert folder() == ["piece"]
    clock.tick(timedelta(hours=73))
    await periodic.expire(jobs.worker)
    for _ in range(2):
        await periodic.remove_left(jobs.worker, evidence_id=str(going.id))
    assert folder() == []
    assert (await tx.scalars(select(EvidencePiece))).all() == []


async def test_pictures_are_forgotten_and_their_records_stay(
    tx, app, http, upload, jobs, folder, clock, order, phone, numbers, branch
):
    await numbers({"evidence.kept_days": 10})
    going = await upload(photo(exif=AT_THE_DOOR)).whole()
    await jobs.work_off()
    clock.tick(timedelta(days=6))
    other = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.acknowledge(other)
    again = Upload(phone, other, going.data)
    assert (await again.announce()).headers["upload-offset"] == str(len(going.data))
    await jobs.work_off()
    clock.tick(timedelta(days=6))
    # One piece of evidence is forgotten, and the picture stays for the other.
    await periodic.forget(jobs.worker)
    assert await jobs.work_off() == ["left"]
    assert folder() == ["kept", "thumbnail"]
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, branch))
    answer = await http.get(f"/v1/evidence/{going.id}/content", headers=supervisor)
    assert (answer.status_code, answer.json()["type"]) == (
        410,
        "urn:yingwei:problem:evidence-forgotten",
    )
    answer = await http.get(f"/v1/evidence/{again.id}/content", headers=supervisor)
    assert answer.status_code == 200
    clock.tick(timedelta(days=6))
    await periodic.forget(jobs.worker)
    await jobs.work_off()
    assert (folder(), await states(tx)) == ([], ["stored", "stored"])
    blob = (await tx.scalars(select(Blob).execution_options(populate_existing=True))).one()
    assert (blob.forgotten_at, blob.point, blob.taken_at) == (clock.now(), None, None)
    (shown, *_) = (
        await http.get(f"/v1/work-orders/{order.id}/evidence", headers=supervisor)
    ).json()["evidence"]
    assert (shown["content"], shown["far"], shown["sha256"]) == (None, False, going.sha256)
    # Who photographs the same anew brings it back, in a folder of its own.
    back = await Upload(phone, other, going.data).whole()
    await jobs.work_off()
    assert folder() == ["kept", "thumbnail"]
    answer = await http.get(f"/v1/evidence/{back.id}/content", headers=supervisor)
    assert answer.status_code == 200


async def test_whoever_dies_before_settling_is_stood_in_for(tx, upload, jobs, monkeypatch, folder):
    async def dies(*given, **more):
        raise ConnectionResetError

    going = upload()
    await going.announce()
    with monkeypatch.context() as patch:
        patch.setattr("app.evidence.service.receiving.settle", dies)
        assert (await going.send(going.data, 0)).status_code == 500
    assert await states(tx) == ["announced"]
    # The library asks, is told that all is there, and is content: so asking settles it.
    assert await going.stands() == len(going.data)
    assert await states(tx) == ["stored"]
    assert await jobs.work_off() == ["whole", "stored"]
    other = upload(photo(seed=9))
    await other.announce()
    with monkeypatch.context() as patch:
        patch.setattr("app.evidence.service.receiving.settle", dies)
        await other.send(other.data, 0)
    assert await jobs.work_off() == ["whole", "stored"]
    assert await states(tx) == ["stored", "stored"]
    assert folder() == ["kept", "kept", "thumbnail", "thumbnail"]


async def test_damage_that_shows_only_later_refuses_the_picture(upload, jobs, tx, monkeypatch):
    def fails(*given):
        raise PictureRefused.of(PictureFault.DAMAGED)

    await upload().whole()
    monkeypatch.setattr("app.evidence.pictures.look_at", fails)
    assert await jobs.work_off() == ["whole", "stored", "left"]
    assert await states(tx) == ["refused"]


async def test_a_job_waits_for_the_storage_however_long_it_is_away(
    upload, jobs, tx, monkeypatch, folder
):
    async def away(self, *given):
        raise Unavailable(retry_after=30)

    going = await upload().whole()
    event = select(text("task_name FROM procrastinate_jobs WHERE status = 'todo'"))
    await jobs.work_off()
    await going.ask("DELETE", going.url)
    with monkeypatch.context() as patch:
        patch.setattr(Storage, "names", away)
        await tx.execute(text("DELETE FROM procrastinate_jobs"))
        await periodic.remove_left(jobs.worker, evidence_id=str(going.id))
    assert (await tx.scalars(event)).all() == ["evidence.left"]
    assert folder() == ["kept", "thumbnail"]
    await jobs.work_off()
    assert folder() == []


async def test_jobs_can_be_done_twice(upload, jobs, folder, tx, clock):
    going = await upload().whole()
    storage = jobs.worker._kept.get("evidence.storage") or await periodic._storage(jobs.worker)
    for _ in range(2):
        await settle(jobs.worker.database, storage, going.id, now=clock.now())
        await look(jobs.worker.database, storage, going.id, now=clock.now())
        await periodic.remove_left(jobs.worker, evidence_id=str(going.id))
    assert (folder(), await states(tx)) == (["kept", "thumbnail"], ["stored"])


@pytest.mark.parametrize("event", ["settle_whole", "look_at_stored", "remove_left"])
async def test_jobs_of_what_is_not_there_do_nothing(event, jobs, order, folder):
    await getattr(periodic, event)(jobs.worker, evidence_id=str(order.id))
    assert folder() == []
