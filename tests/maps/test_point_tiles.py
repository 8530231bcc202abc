"""Tiles of orders and of technicians: who and what is on them, where, and nobody's name."""

from dataclasses import asdict
from datetime import time, timedelta

import numpy as np
import pytest
from geoalchemy2 import WKTElement
from sqlalchemy import text

from app.auth.rules import Role
from app.core.geo import MERCATOR_EDGE_M as EDGE
from app.core.geo import CoordSys, from_mercator, to_wgs84
from app.maps.queries import tiles as queries
from app.maps.rules.tiles import Tile
from app.maps.rules.windows import window
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from app.visits.models import Visit
from app.workorders.rules import State, UnplacedReason
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_grid, make_membership
from tests.make.maps import features, tile_at
from tests.make.technicians import make_technician
from tests.make.visits import TODAY
from tests.make.workorders import make_work_order

LON, LAT = 112.6, 28.9
HERE = tile_at(LON, LAT, 12)
HOME = WKTElement(f"POINT({LON} {LAT})", srid=4326)


def by_id(answer, layer):
    assert answer.status_code in (200, 204), answer.text
    return {each.properties["id"]: each for each in features(answer.content, layer)}


def place_of(feature, tile, coordsys=CoordSys.WGS84):
    """Where a point of a tile is on the ground, in WGS-84 degrees."""
    side = tile.side_m
    x = -EDGE + tile.x * side + feature.geometry.x / 4096 * side
    y = EDGE - tile.y * side - feature.geometry.y / 4096 * side
    lon, lat = to_wgs84(*from_mercator([x], [y]), coordsys)
    return float(lon[0]), float(lat[0])


# --- orders ---------------------------------------------------------------------------------------


@pytest.fixture
def order(tx, branch, clock):
    """Add an order of the branch here, in a state, due so many minutes from now."""

    async def add(state=State.LOCATED, *, due=None, **fields):
        given = {"org_unit": branch, "point": (LON, LAT), "state": state, **fields}
        if due is not None:
            given["due_at"] = clock.now() + timedelta(minutes=due)
        return str((await make_work_order(tx, now=clock.now(), **given)).id)

    return add


async def test_open_orders_say_what_and_how_urgent(tile, order):
    late = await order(due=-1, priority=1)
    risky = await order(due=59)
    early = await order(due=61)
    never = await order(State.UNPLACED, unplaced_reason=UnplacedReason.NO_GRID)
    answer = await tile("orders", HERE)
    shown = by_id(answer, "orders")
    assert shown[late].properties == {
        "id": late,
        "state": "located",
        "work_type": "repair",
        "priority": 1,
        "overdue": True,
        "at_risk": False,
    }
    urgency = {
        each: (shown[each].properties["overdue"], shown[each].properties["at_risk"])
        for each in (risky, early, never)
    }
    assert urgency == {risky: (False, True), early: (False, False), never: (False, False)}
    assert answer.headers["cache-control"] == "private, max-age=15"


async def test_of_the_closed_only_those_planned_for_today_are_shown(tile, tx, order, branch):
    technician = await make_technician(tx, org_unit=branch)
    held = {"holder_id": technician.id}
    today = await order(State.COMPLETED, due=-5, planned_day=TODAY, **held)
    await order(State.COMPLETED, planned_day=TODAY - timedelta(days=1), **held)
    await order(State.CANCELLED, planned_day=TODAY, **held)
    tomorrow = await order(State.ASSIGNED, planned_day=TODAY + timedelta(days=1), **held)
    shown = by_id(await tile("orders", HERE), "orders")
    assert set(shown) == {today, tomorrow}
    assert shown[today].properties["state"] == "completed"
    assert shown[today].properties["overdue"] is False


async def test_done_by_somebody_lent_to_us_it_is_shown_too(tile, tx, order, branch):
    lent = await make_technician(tx)
    done = await order(State.COMPLETED, planned_day=TODAY, holder_id=lent.id)
    assert by_id(await tile("orders", HERE), "orders") == {}
    await make_membership(tx, await make_grid(tx, org_unit=branch), lent)
    assert set(by_id(await tile("orders", HERE), "orders")) == {done}


async def test_orders_of_others_without_a_point_or_elsewhere_are_not_there(app, tile, tx, order):
    other = await make_org_unit(tx, code="west")
    theirs = await order(org_unit=other)
    await order(point=None)
    await order(point=(LON + 0.2, LAT))
    assert by_id(await tile("orders", HERE), "orders") == {}
    headers = bearer(app, caller_for(Role.SUPERVISOR, other))
    assert set(by_id(await tile("orders", HERE, headers=headers), "orders")) == {theirs}


@pytest.mark.parametrize("coordsys", list(CoordSys))
async def test_a_pin_is_on_its_house_on_every_map(tile, order, coordsys):
    draw = np.random.default_rng(4)
    points = {
        await order(point=(lon, lat)): (lon, lat)
        for lon, lat in zip(
            draw.uniform(LON - 0.3, LON + 0.3, 40), draw.uniform(LAT - 0.3, LAT + 0.3, 40),
            strict=True,
        )
    }  # fmt: skip
    for z in (8, 10, 12, 15):
        seen = 0
        for lon, lat in list(points.values())[:3]:
            place = tile_at(lon, lat, z, coordsys)
            shown = by_id(await tile("orders", place, coordsys=coordsys.value), "orders")
            for each, feature in shown.items():
                found = place_of(feature, place, coordsys)
                degrees = place.pixel_m / 111_320
                assert found == pytest.approx(points[each], abs=0.5 * degrees)
                seen += 1
        assert seen >= 3


async def test_a_tile_of_orders_holds_the_most_urgent(tile, order, monkeypatch):
    monkeypatch.setattr(queries, "MOST_POINTS", 2)
    await order(due=500)
    urgent = [await order(due=-10), await order(due=10)]
    assert set(by_id(await tile("orders", HERE), "orders")) == set(urgent)


# --- technicians ----------------------------------------------------------------------------------


async def visit(tx, technician, order_id, *, at, point=(LON + 0.05, LAT + 0.05), ended=True):
    tx.add(
        Visit(
            work_order_id=order_id,
            technician_id=technician.id,
            travel_started_at=at,
            checked_in_at=at,
            check_in_point=WKTElement(f"POINT({point[0]} {point[1]})", srid=4326),
            ended_at=at if ended else None,
        )
    )
    await tx.flush()


async def test_who_is_on_shift_is_where_they_last_checked_in_today(tile, tx, order, branch, clock):
    at_home = await make_technician(tx, org_unit=branch, home_point=HOME, code="T-1")
    out = await make_technician(tx, org_unit=branch, home_point=HOME, code="T-2")
    order_id = await order()
    now = clock.now()
    yesterday = now - timedelta(hours=14)
    await visit(tx, at_home, order_id, at=yesterday)
    await visit(tx, out, order_id, at=now - timedelta(minutes=50), point=(LON - 0.05, LAT))
    await visit(tx, out, order_id, at=now - timedelta(minutes=20))
    place = tile_at(LON, LAT, 8)
    answer = await tile("technicians", place)
    shown = by_id(answer, "technicians")
    assert {each.properties["code"]: each.properties for each in shown.values()} == {
        "T-1": {"id": str(at_home.id), "code": "T-1", "source": "home"},
        "T-2": {"id": str(out.id), "code": "T-2", "source": "check_in"},
    }
    coarse = 0.004 + 2 * place.pixel_m / 111_320
    assert place_of(shown[str(at_home.id)], place) == pytest.approx((LON, LAT), abs=coarse)
    checked_in = pytest.approx((LON + 0.05, LAT + 0.05), abs=coarse)
    assert place_of(shown[str(out.id)], place) == checked_in


async def test_who_is_not_on_shift_or_has_no_place_is_not_shown(tile, tx, branch, clock):
    now = clock.now()
    given = {"org_unit": branch, "home_point": HOME}
    on_shift = await make_technician(tx, **given)
    await make_technician(tx, starts_at=time(9, 30), **given)
    await make_technician(tx, ends_at=time(9, 0), **given)
    await make_technician(tx, weekdays=range(1, 7), **given)
    await make_technician(tx, active=False, **given)
    await make_technician(tx, org_unit=branch)
    await make_technician(tx, home_point=HOME)
    away = await make_technician(tx, **given)
    tx.add(
        Leave(
            technician_id=away.id,
            starts_at=now - timedelta(hours=1),
            ends_at=now + timedelta(hours=1),
            cause=LeaveCause.ILLNESS,
        )
    )
    await tx.flush()
    assert set(by_id(await tile("technicians", HERE), "technicians")) == {str(on_shift.id)}


async def test_positions_are_rounded_to_cells_that_can_be_set(tile, tx, database, branch, clock):
    rng = np.random.default_rng(5)
    for _ in range(12):
        lon, lat = rng.uniform(LON, LON + 0.003), rng.uniform(LAT, LAT + 0.003)
        point = WKTElement(f"POINT({lon} {lat})", srid=4326)
        await make_technician(tx, org_unit=branch, home_point=point)

    async def places():
        shown = by_id(await tile("technicians", HERE), "technicians")
        assert len(shown) == 12
        return {(each.geometry.x, each.geometry.y) for each in shown.values()}

    assert len(await places()) <= 4
    database.cache.clear()
    await tx.execute(
        text(
            "INSERT INTO parameter_value (id, name, org_path, valid_from, value)"
            " VALUES (gen_random_uuid(), 'maps.position_cell_m', :path, :since, '100')"
        ),
        {"path": branch.path, "since": clock.now() - timedelta(days=1)},
    )
    assert len(await places()) > 4


# --- what both have in common ---------------------------------------------------------------------


async def test_no_personal_data_is_in_any_tile(tile, tx, order, branch):
    await make_technician(
        tx, org_unit=branch, home_point=HOME, name="李师傅", phone="13987654321", contractor="恒信"
    )
    await order(service_number="07318881234", locality="碧波园", source="crm", external_id="F-77")
    for layer in ("orders", "technicians"):
        plain = await tile(layer, HERE, headers={"accept-encoding": "identity"})
        assert plain.status_code == 200
        for personal in (
            "王小明", "15412341234", "碧波园", "1203", "宽带断网", "07318881234", "F-77", "crm",
            "李师傅", "13987654321", "恒信",
        ):  # fmt: skip
            assert personal.encode() not in plain.content, personal


@pytest.mark.parametrize("layer", ["orders", "technicians"])
async def test_unchanged_it_is_not_sent_again_and_one_statement_is_enough(
    tile, tx, database, order, branch, layer
):
    await order()
    await make_technician(tx, org_unit=branch, home_point=HOME)
    first = await tile(layer, HERE)
    assert first.status_code == 200
    with counted(database) as statements:
        again = await tile(layer, HERE, headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304
    assert len(statements) == 1
    with counted(database) as statements:
        assert (await tile(layer, tile_at(LON, LAT, 7))).status_code == 204
    assert statements == []


@pytest.mark.unused_database
async def test_orders_are_found_along_indexes_beside_years_of_closed_ones(tx, order, branch, clock):
    technician = await make_technician(tx, org_unit=branch)
    await order(State.COMPLETED, planned_day=TODAY, holder_id=technician.id)
    await tx.execute(
        text(
            "INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type,"
            " state, address, summary, skills, estimated_minutes, reported_at, received_at, point,"
            " holder_id, planned_day)"
            " SELECT gen_random_uuid(), org_unit_id, source, external_id || n, '', work_type,"
            " state, address, summary, skills, estimated_minutes, reported_at, received_at, point,"
            " holder_id, planned_day - n"
            " FROM work_order, generate_series(1, 5000) AS n"
        )
    )
    await order()
    await tx.execute(text("ANALYZE work_order, technician, org_unit, grid, grid_membership"))
    asked = Tile(*HERE, CoordSys.GCJ02)
    given = {
        **asked._asdict(),
        **asdict(window(asked)),
        "path": branch.path,
        "now": clock.now(),
        "risky": clock.now(),
        "most": 10,
    }
    explain = text(f"EXPLAIN {queries._ORDERS.text}")
    plan = "\n".join(row[0] for row in await tx.execute(explain, given))
    assert "ix_work_order_open" in plan
    assert "ix_work_order_day" in plan
    assert "Seq Scan on work_order" not in plan
