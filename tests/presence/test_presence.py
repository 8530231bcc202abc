"""Shifts as they are worked, and positions as far as they are agreed to."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.presence import service
from app.presence.rules import CONSENT_VERSION
from app.sync.models import SyncAction
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.visits import make_phone, taken

LON, LAT = 112.60557, 28.89723


@pytest.fixture
async def units(tx):
    city = await make_org_unit(tx)
    return [await make_org_unit(tx, parent=city) for _ in range(2)]


@pytest.fixture
async def phone(tx, app, http, clock, units):
    made = await make_phone(tx, app, http, clock, org_unit=units[0])
    await tx.commit()
    return made


@pytest.fixture
def look(app, http, units):
    """Look as the supervisor of a unit."""

    async def look(path, unit=units[0], role=Role.SUPERVISOR):
        headers = bearer(app, caller_for(role, unit))
        return await http.get(f"/v1{path}", headers=headers)

    return look


async def begin(phone, *, consent=CONSENT_VERSION, shift_id=None, **more):
    shift_id = shift_id or str(new_id())
    return await phone.post("/my/shifts", id=shift_id, positions_consent=consent, **more)


def batch(clock, *minutes, coordsys="wgs84"):
    """Points a quarter of an hour and three hundred metres apart."""
    return {
        "coordsys": coordsys,
        "points": [
            {
                "at": (clock.now() + timedelta(minutes=minute)).isoformat(),
                "lon": LON,
                "lat": LAT + minute * 0.0002,
                "accuracy_m": 15.4,
            }
            for minute in minutes
        ],
    }


async def send(phone, clock, *minutes):
    answer = await phone.http.post(
        "/v1/my/positions", json=batch(clock, *minutes), headers=phone.headers
    )
    return taken(answer)


async def kept(tx):
    rows = await tx.execute(text("SELECT at, ST_X(point), ST_Y(point) FROM position ORDER BY at"))
    return [tuple(row) for row in rows]


async def test_a_shift_begins_and_ends_once(tx, phone, clock):
    asked = (await phone.get("/my/shift")).json()
    assert asked["shift"] is None
    assert (asked["consent"]["version"], "随时撤回" in asked["consent"]["zh"]) == (1, True)
    shift_id = str(new_id())
    said = clock.now().isoformat()
    first = taken(await begin(phone, shift_id=shift_id, device_at=said))
    assert (first["ended_at"], first["shares_position"]) == (None, True)
    clock.tick(timedelta(minutes=5))
    assert taken(await begin(phone, shift_id=shift_id, device_at=said)) == first
    other = await begin(phone, shift_id=shift_id)
    assert other.json()["type"].endswith("same-id-other-content")
    # A second phone of theirs goes on with the shift that they are on.
    second = await begin(phone)
    assert (second.status_code, second.json()["facts"]["id"]) == (409, shift_id)
    assert (await phone.get("/my/shift")).json()["shift"] == first
    ended = taken(await phone.post(f"/my/shifts/{shift_id}/end"))
    clock.tick(timedelta(minutes=5))
    assert taken(await phone.post(f"/my/shifts/{shift_id}/end")) == ended
    assert ended["end"] == "ended"
    taken(await phone.post(f"/my/shifts/{shift_id}/consent", positions_consent=None))
    late = await phone.post(f"/my/shifts/{shift_id}/consent", positions_consent=1)
    assert late.json()["type"].endswith("shift-over")


async def test_a_shift_that_nobody_ended_is_over_at_its_longest(tx, phone, clock):
    first = taken(await begin(phone))
    clock.tick(timedelta(hours=15))
    taken(await begin(phone))
    rows = await tx.execute(text('SELECT "end", ended_at - began_at FROM duty ORDER BY began_at'))
    assert [tuple(row) for row in rows] == [("left_open", timedelta(hours=14)), (None, None)]
    clock.tick(timedelta(hours=15))
    await service.tidy(tx, clock.now())
    assert (await phone.get("/my/shift")).json()["shift"] is None
    assert (await phone.post(f"/my/shifts/{first['id']}/end")).json()["end"] == "left_open"


async def test_positions_are_coarse_and_sent_again_they_change_nothing(tx, phone, clock):
    taken(await begin(phone))
    clock.tick(timedelta(hours=1))
    answer = await send(phone, clock, -75, -60, -45, -44, -30)
    assert answer == {
        "kept": 3,
        "dropped": [{"reason": "off_shift", "count": 1}, {"reason": "thinned", "count": 1}],
    }
    rows = await kept(tx)
    assert len(rows) == 3
    for (_, lon, lat), minute in zip(rows, (-60, -45, -30), strict=True):
        assert 0 < abs(lon - LON) + abs(lat - LAT - minute * 0.0002) < 0.0012
    assert (await send(phone, clock, -75, -60, -45, -44, -30))["kept"] == 3
    assert await kept(tx) == rows


async def test_as_many_positions_take_as_many_statements_as_few(tx, phone, clock, database):
    taken(await begin(phone))
    clock.tick(timedelta(hours=5))
    await send(phone, clock, -295)
    with counted(database) as few:
        await send(phone, clock, -290, -289)
    with counted(database) as many:
        await send(phone, clock, *range(-200, 0))
    assert len(many) == len(few)


async def test_without_consent_nothing_is_written_and_what_is_taken_back_goes(tx, phone, clock):
    shift = taken(await begin(phone, consent=None))
    clock.tick(timedelta(minutes=10))
    assert (await send(phone, clock, -5))["dropped"] == [{"reason": "no_consent", "count": 1}]
    # Words that are not in force are no consent.
    consent = f"/my/shifts/{shift['id']}/consent"
    assert taken(await phone.post(consent, positions_consent=99))["shares_position"] is False
    assert taken(await phone.post(consent, positions_consent=1))["shares_position"] is True
    clock.tick(timedelta(minutes=30))
    assert (await send(phone, clock, -20, 0))["kept"] == 2
    assert len(await kept(tx)) == 2
    for _ in range(2):
        assert taken(await phone.post(consent, positions_consent=None))["shares_position"] is False
    assert await kept(tx) == []
    # What was still on its way belongs to a consent that is taken back.
    assert (await send(phone, clock, -20, 0))["kept"] == 0


async def test_what_was_done_offline_arrives_with_a_push(tx, phone, clock):
    shift_id = str(new_id())
    earlier = clock.now() - timedelta(hours=2)
    steps = [
        ("my_shifts_begin", {"id": shift_id, "positions_consent": 1}, earlier),
        ("my_positions_report", batch(clock, -90, -60), clock.now()),
        ("my_shifts_end", {"shift_id": shift_id}, clock.now()),
    ]
    actions = [
        {"id": str(new_id()), "type": kind, "payload": said, "device_at": at.isoformat()}
        for kind, said, at in steps
    ]
    body = {
        "changes": {"actions": {"created": actions, "updated": [], "deleted": []}},
        "last_pulled_at": None,
    }
    for verdict in ("applied", "duplicate"):
        answer = await phone.http.post("/v1/sync", json=body, headers=phone.headers)
        assert [one["verdict"] for one in taken(answer)["verdicts"]] == [verdict] * 3
        assert taken(answer)["wipe"] is None
        assert len(await kept(tx)) == 2
    # Of the batch itself, which is exact and may be of no shift, nothing is kept.
    written = await tx.execute(select(SyncAction.type, SyncAction.payload))
    assert {kind: said != {} for kind, said in written} == {
        "my_shifts_begin": True,
        "my_positions_report": False,
        "my_shifts_end": True,
    }


async def test_supervisors_see_who_is_there_and_only_theirs(tx, phone, clock, look, units):
    listed = (await look("/presence")).json()["technicians"]
    assert [(one["on_shift_since"], one["streaming"]) for one in listed] == [(None, False)]
    assert (await look("/presence?on_shift=true")).json()["technicians"] == []
    taken(await begin(phone))
    listed = (await look("/presence?on_shift=true")).json()["technicians"]
    assert [one["shares_position"] for one in listed] == [True]
    assert (await look("/presence", units[1])).json()["technicians"] == []
    assert (await look(f"/presence?org_unit_id={units[0].id}", units[1])).status_code == 404


async def test_positions_are_shown_to_their_supervisor_and_each_look_is_kept(
    tx, phone, clock, look, units
):
    mine = phone.technician.id
    shift = taken(await begin(phone))
    clock.tick(timedelta(minutes=30))
    await send(phone, clock, -20, -5)
    seen = (await look("/presence/positions?coordsys=wgs84")).json()["technicians"]
    assert [one["technician_id"] for one in seen] == [str(mine)]
    assert seen[0]["at"].startswith((clock.now() - timedelta(minutes=5)).isoformat()[:16])
    span = f"from={_text(clock.now() - timedelta(days=1))}&until={_text(clock.now())}"
    track = f"/presence/{mine}/track?{span}"
    assert (await look(track)).status_code == 422
    shown = (await look(f"{track}&reason=accident")).json()
    assert len(shown["points"]) == 2
    assert (await phone.get(f"/my/positions?{span}")).json()["points"] == shown["points"]
    # Somebody else's are not there, and that leaves no entry.
    assert (await look("/presence/positions", units[1])).json()["technicians"] == []
    assert (await look(f"{track}&reason=curious", units[1])).status_code == 404
    entries = await tx.scalars(
        select(AuditEntry).where(AuditEntry.subject_id.is_not(None)).order_by(AuditEntry.id)
    )
    assert [(one.subject_kind, one.subject_id, one.purpose) for one in entries] == [
        ("org_unit", units[0].id, "where technicians are"),
        ("technician", mine, "accident"),
        ("org_unit", units[1].id, "where technicians are"),
    ]
    # When the shift is over nobody is on the map.
    taken(await phone.post(f"/my/shifts/{shift['id']}/end"))
    assert (await look("/presence/positions")).json()["technicians"] == []


async def test_the_board_shows_who_is_there_and_about_where_those_are_who_agree(
    tx, app, http, phone, clock, look, units, database
):
    async def there(unit=units[0], **asked):
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        board = (await look(f"/board?{query}", unit)).json()
        return {one["code"]: one["presence"] for one in board["technicians"]}

    code = phone.technician.code
    nobody = {"on_shift_since": None, "shares_position": False, "seen": None}
    assert (await there(positions="true"))[code].items() >= nobody.items()
    shift = taken(await begin(phone))
    clock.tick(timedelta(minutes=30))
    await send(phone, clock, -20, -5)
    with counted(database) as plain:
        shown = (await there())[code]
    assert (shown["on_shift_since"], shown["shares_position"]) == (shift["began_at"], True)
    assert shown["seen"] is None
    # More people are no more statements.
    await make_phone(tx, app, http, clock, org_unit=units[0])
    await tx.commit()
    with counted(database) as more:
        assert len(await there()) == 2
    assert len(more) == len(plain)
    looks = select(AuditEntry.subject_id).where(AuditEntry.purpose == "where technicians are")
    before = len((await tx.scalars(looks)).all())
    seen = (await there(positions="true"))[code]["seen"]
    assert seen["at"].startswith((clock.now() - timedelta(minutes=5)).isoformat()[:16])
    assert (seen["lon"], seen["lat"]) != (LON, LAT) and seen["accuracy_m"] == 15
    found = (await tx.scalars(looks)).all()
    assert len(found) == before + 1 and set(found) == {units[0].id}
    assert code not in await there(units[1], positions="true")
    # What is taken back is not shown, and another day says nothing.
    taken(await phone.post(f"/my/shifts/{shift['id']}/consent", positions_consent=None))
    after = (await there(positions="true"))[code]
    assert (after["shares_position"], after["seen"]) == (False, None)
    assert (await there(day="2026-03-03"))[code].items() >= nobody.items()


def _text(moment):
    return moment.isoformat().replace("+00:00", "Z")


async def test_positions_are_forgotten_after_thirty_days(tx, phone, clock):
    taken(await begin(phone))
    clock.tick(timedelta(minutes=30))
    await send(phone, clock, -20, 0)
    assert await service.tidy(tx, clock.now() + timedelta(days=29)) == 0
    assert await service.tidy(tx, clock.now() + timedelta(days=30, minutes=-10)) == 1
    assert await service.tidy(tx, clock.now() + timedelta(days=31)) == 1
    assert await kept(tx) == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"points": []}, "points"),
        ({"coordsys": None}, "coordsys"),
        ({"points": [{"at": "2026-03-02T09:00:00", "lon": 1, "lat": 1, "accuracy_m": 1}]}, "at"),
    ],
)
async def test_a_batch_that_is_none_is_refused(tx, phone, clock, change, field):
    body = {**batch(clock, 0), **change}
    answer = await phone.http.post("/v1/my/positions", json=body, headers=phone.headers)
    assert answer.status_code == 422
    assert field in answer.text
    assert await kept(tx) == []
