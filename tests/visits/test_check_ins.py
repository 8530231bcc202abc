"""Whether somebody stands where they say: by distance, accuracy, and how they came there."""

from datetime import datetime, timedelta

import pytest

from app.auth.rules import Role
from app.core.geo import EARTH_RADIUS_M
from app.visits import rules
from app.visits.models import Visit
from app.visits.rules import MARK_WORDS, FarReason, Limits, Mark, Position
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.visits import LAT, LON, at, make_assigned_order, make_phone, taken

NINE = datetime.fromisoformat("2026-03-02T09:00:00+08:00")
LIMITS = Limits(far_m=300.0, worst_accuracy_m=200.0, fastest_kmh=120.0)
# A degree of latitude, in metres.
DEGREE = EARTH_RADIUS_M * 3.141592653589793 / 180


def north(metres: float, accuracy_m: float | None = None, after: float = 0.0) -> Position:
    """A position so far to the north of the address, so many minutes after nine."""
    return Position(LON, LAT + metres / DEGREE, accuracy_m, NINE + timedelta(minutes=after))


def judge(here, last=None, *, address=(LON, LAT), mocked=False, reason=None):
    return rules.checked_in(here, address, last, mocked=mocked, limits=LIMITS, reason=reason)


@pytest.mark.parametrize(
    ("here", "last", "mocked", "marks"),
    [
        (north(0), None, False, []),
        (north(299), None, False, []),
        (north(301), None, False, [Mark.FAR]),
        # What the accuracy leaves open counts in its favour, but only so much of it.
        (north(350, 60), None, False, []),
        (north(499, 5_000), None, False, [Mark.INACCURATE]),
        (north(501, 5_000), None, False, [Mark.FAR, Mark.INACCURATE]),
        (north(0, 200), None, False, []),
        (north(0, 201), None, False, [Mark.INACCURATE]),
        (north(0), None, True, [Mark.MOCKED]),
        # 19 km in ten minutes are 114 km/h, 21 km are 126.
        (north(0, after=10), north(19_000), False, []),
        (north(0, after=10), north(21_000), False, [Mark.IMPLAUSIBLE]),
        (north(0, 200, after=10), north(20_300, 200), False, []),
        # Within a minute nothing is known of a speed: it counts as one.
        (north(0, after=0.1), north(1_900), False, []),
        (north(0, after=0.1), north(2_100), False, [Mark.IMPLAUSIBLE]),
        # A clock that was set back meanwhile tells no less.
        (north(0, after=-60), north(1_900), False, []),
        (north(20_000, after=1), north(0), True, [Mark.FAR, Mark.IMPLAUSIBLE, Mark.MOCKED]),
    ],
)
def test_what_is_odd_about_a_check_in_is_marked(here, last, mocked, marks):
    judged = judge(here, last, mocked=mocked, reason=FarReason.OTHER)
    assert list(judged.marks) == marks
    assert judged.questioned is bool({Mark.FAR, Mark.IMPLAUSIBLE} & set(marks))
    if judged.questioned:
        with pytest.raises((rules.FarFromAddress, rules.ImplausiblePosition)):
            judge(here, last, mocked=mocked)
    else:
        assert judge(here, last, mocked=mocked) == judged


def test_what_is_refused_says_by_how_much():
    with pytest.raises(rules.FarFromAddress) as far:
        judge(north(1234))
    assert far.value.facts == {"distance_m": 1234, "limit_m": 300}
    with pytest.raises(rules.ImplausiblePosition) as fast:
        judge(north(0, after=10), north(40_000))
    assert fast.value.facts == {
        "distance_m": 40_000,
        "minutes": 10,
        "speed_kmh": 240,
        "limit_kmh": 120,
    }


def test_an_address_without_a_point_is_never_far():
    judged = judge(north(90_000), address=None)
    assert (judged.distance_m, judged.speed_kmh, list(judged.marks)) == (None, None, [])


def test_every_mark_has_words():
    assert MARK_WORDS.keys() == set(Mark)


# --- over HTTP ------------------------------------------------------------------------------------


async def test_a_supervisor_sees_who_was_not_where_they_should_be(tx, app, http, clock):
    branch = await make_org_unit(tx)
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    first = await make_assigned_order(tx, phone.technician, now=clock.now())
    visit_id = await phone.arrive(first)
    await phone.complete(visit_id)
    # 33 km to the north five minutes later, by the phone's clock; told hours later.
    second = await make_assigned_order(
        tx, phone.technician, now=clock.now(), point=(LON, LAT + 0.3), external_id="F-2"
    )
    clock.tick(timedelta(minutes=5))
    visit_id = await phone.set_out(second)
    sent = clock.now().isoformat()
    clock.tick(timedelta(hours=4))
    url = f"/visits/{visit_id}/check-in"
    body = {"point": at(LON, LAT + 0.3), "accuracy_m": 900, "mocked": True, "device_at": sent}
    refused = await phone.post(url, **body)
    assert refused.json()["type"] == "urn:yingwei:problem:implausible-position"
    assert refused.json()["facts"]["minutes"] == 5
    visit = await tx.get_one(Visit, visit_id, populate_existing=True)
    assert visit.checked_in_at is None
    answer = taken(await phone.post(url, **body, far_reason="phone_position_wrong"))
    assert (answer["far"], answer["marks"]) == (False, ["implausible", "inaccurate", "mocked"])
    assert taken(await phone.post(url, **body, far_reason="phone_position_wrong")) == answer

    async def marked(unit, **query):
        headers = {**bearer(app, caller_for(Role.SUPERVISOR, unit)), "accept-language": "zh"}
        found = await http.get("/v1/check-ins/marked", headers=headers, params=query)
        assert found.status_code == 200, found.text
        return found.json()["check_ins"]

    [shown] = await marked(branch)
    assert (shown["external_id"], shown["technician_code"], shown["far_reason"]) == (
        "F-2",
        phone.technician.code,
        "phone_position_wrong",
    )
    assert [one["words"] for one in shown["marks"]][-1] == "手机报告为模拟定位"
    assert shown["address"] == "碧波园3栋*"
    assert 380 < shown["speed_kmh"] < 400
    assert await marked(branch, mark="far") == []
    assert len(await marked(branch, mark="mocked", technician_id=str(phone.technician.id))) == 1
    assert await marked(await make_org_unit(tx)) == []
    assert (await phone.get("/check-ins/marked")).status_code == 403
