"""The working day: orders as upstream systems send them, snags included, the same each time."""

import hashlib
from collections import Counter
from datetime import datetime, time, timedelta

import orjson
import pytest
import shapely

from app.core.geo import CoordSys, distance_m, to_wgs84
from app.dispatch.rules import STAND_IN_LOCALITIES
from app.dispatch.schemas.intake import OrderIn
from app.suggestions.rules import DeclineReason
from seed.city import build
from seed.day import BD09_ORDERS, REPEATED, SNAGS, Residents, Snag, working_day
from seed.people import SKILLS
from seed.terrain import Place

# See test_city.DIGEST: the day belongs to the city.
DIGEST = "3fca5839039120b3d95fa59482862eb94498fb2279e557137ea88366c4b01599"


@pytest.fixture(scope="module")
def city():
    return build()


@pytest.fixture(scope="module")
def day(city):
    return working_day(city)


@pytest.fixture(scope="module")
def first(day):
    """The different orders of the day, without those that come again."""
    return [one for one in day if one.snag not in REPEATED]


def place(one) -> Place:
    point = one.body["point"]
    return to_wgs84(point["lon"], point["lat"], CoordSys(point["coordsys"]))


def metres(one: Place, other: Place) -> float:
    return distance_m(one[0], one[1], other[0], other[1])


def test_the_same_city_has_the_same_day(city, day):
    told = [(one.at.isoformat(), one.body, one.snag, one.behaviour.accepts) for one in day]
    assert hashlib.sha256(orjson.dumps(told)).hexdigest() == DIGEST
    assert working_day(city) == day


def test_what_comes_and_how_much_of_it(first):
    assert len(first) == len({one.key for one in first}) == 400
    types = Counter(one.body["work_type"] for one in first)
    assert types == {"repair": 260, "install": 100, "relocate": 14, "remove": 12, "care": 14}


def test_every_message_is_one_the_intake_can_read(day):
    for one in day:
        order = OrderIn.model_validate_json(orjson.dumps(one.body))
        assert set(order.skills) <= {"fibre", *SKILLS}


def test_they_come_in_order_from_half_past_seven_to_five(first, day):
    assert [one.at for one in day] == sorted(one.at for one in day)
    assert all(time(7, 30) <= one.at.time() < time(17, 0) for one in first)
    morning = sum(one.at.time() < time(12, 0) for one in first)
    assert 0.55 < morning / len(first) < 0.75


def test_appointments_lie_ahead(day):
    booked = [one for one in day if "appointment_from" in one.body]
    assert len(booked) > 60
    for one in booked:
        names = ("reported_at", "appointment_from", "appointment_until")
        reported_at, begins, ends = (datetime.fromisoformat(one.body[name]) for name in names)
        assert begins > reported_at
        assert ends - begins == timedelta(hours=2)


def test_snags_are_there_and_no_more_than_meant(day):
    assert {snag: number for snag, number in Counter(one.snag for one in day).items() if snag} == {
        **SNAGS,
        **REPEATED,
    }


def test_orders_without_a_point(day):
    assert all(("point" in one.body) is (one.snag is not Snag.NO_POINT) for one in day)


def test_the_stand_in_is_one_point_of_more_localities_than_tolerated(day):
    shared = [one for one in day if one.snag is Snag.STAND_IN]
    assert len({place(one) for one in shared}) == 1
    localities = {one.body["locality"] for one in shared}
    assert len(localities) >= STAND_IN_LOCALITIES.default
    # No other point comes near that, so that nobody is taken for a stand-in by chance.
    others: dict[Place, set[str]] = {}
    for one in day:
        if "point" in one.body and one.snag is not Snag.STAND_IN:
            others.setdefault(place(one), set()).add(one.body["locality"])
    assert max(map(len, others.values())) == 1


def test_the_others_lie_where_their_customers_live(city, first):
    homes = {home.code: home for home in city.households}
    for one in first:
        if one.snag is None and one.customer:
            lon, lat = homes[one.customer].place
            assert metres(to_wgs84(lon, lat, CoordSys.GCJ02), place(one)) < 0.05


def test_baidu_points_are_the_same_places_in_another_system(first):
    baidu = [one for one in first if one.body.get("point", {}).get("coordsys") == "bd09"]
    assert BD09_ORDERS * 0.8 < len(baidu) <= BD09_ORDERS
    gaode = [one for one in first if one.body.get("point", {}).get("coordsys") == "gcj02"]
    shift = [
        metres(place(one), (one.body["point"]["lon"], one.body["point"]["lat"]))
        for one in (*baidu, *gaode)
    ]
    assert min(shift[: len(baidu)]) > 900 > max(shift[len(baidu) :])


def test_outside_is_outside_of_every_grid(city, day):
    whole = shapely.union_all([grid.shape for grid in city.grids])
    for one in day:
        if one.snag is Snag.OUTSIDE:
            point = one.body["point"]
            assert not whole.contains(shapely.Point(point["lon"], point["lat"]))


def test_orders_that_come_again(day, first):
    known = {one.key: one for one in first}
    for one in day:
        if one.snag is Snag.SENT_TWICE:
            assert one.body == known[one.key].body
        if one.snag is Snag.OTHER_CONTENT:
            assert one.contradicts
            assert one.body != known[one.key].body
        if one.snag in REPEATED:
            assert one.at > known[one.key].at


def test_people_not_yet_customers_are_strangers_to_the_crm(first):
    strangers = [one for one in first if one.customer is None]
    assert 15 < len(strangers) < 60
    assert all(one.body["work_type"] == "install" for one in strangers)
    assert all("customer_code" not in one.body for one in strangers)


def test_residents_say_the_same_again_and_yes_as_often_as_they_mean_to(city, day):
    residents = Residents(city, day)
    phones = {home.code: home.phone for home in city.households}
    asked = [
        (phones[one.customer], code, likely)
        for one in day
        if one.customer
        for code, likely in one.behaviour.accepts.items()
    ]
    assert all(0 <= likely <= 0.95 for *_, likely in asked)
    yes = [residents.accepts(customer, code) for customer, code, _ in asked]
    assert yes == [residents.accepts(customer, code) for customer, code, _ in asked]
    meant = sum(likely for *_, likely in asked)
    assert abs(sum(yes) - meant) < 0.1 * meant
    reasons = {residents.declines_because(customer, code) for customer, code, _ in asked}
    assert reasons <= {reason.value for reason in DeclineReason}
    assert not residents.accepts("nobody", "IPTV-4K")


def test_households_differ_in_what_they_want(day):
    by_offer: dict[str, list[float]] = {}
    for one in day:
        for code, likely in one.behaviour.accepts.items():
            by_offer.setdefault(code, []).append(likely)
    for likely in by_offer.values():
        assert max(likely) > 3 * min(likely)


def test_a_smaller_day(city):
    assert len({one.key for one in working_day(city, orders=40)}) == 40
