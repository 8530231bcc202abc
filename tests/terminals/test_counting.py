"""Counts of vans: differences, their causes, what becomes of them, and the report of losses."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Invalid
from app.terminals import queries
from app.terminals.models import TerminalMove
from app.terminals.rules import MOVES, Cause, Difference, Handling, Place, Pool, TerminalKind
from app.terminals.rules.counting import (
    Booked,
    Found,
    Scanned,
    causes_of,
    check_causes,
    differences,
    settling,
)
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal
from tests.make.visits import make_phone

PROBLEM = "urn:yingwei:problem:"
ANNA, BEN, UNIT = new_id(), new_id(), new_id()
ONT, CAMERA = TerminalKind.ONT_GATEWAY, TerminalKind.CAMERA


def place(pool, who=ANNA):
    return Place(pool, UNIT, technician_id=who if pool in (Pool.VAN, Pool.RECOVERED) else None)


def test_what_is_there_is_compared_with_what_is_booked():
    booked = {
        "THERE": Booked(ONT, place(Pool.VAN)),
        "GONE": Booked(ONT, place(Pool.VAN)),
        "HANDS": Booked(ONT, place(Pool.RECOVERED)),
        "HIS": Booked(ONT, place(Pool.VAN, BEN)),
        "KIND": Booked(ONT, place(Pool.VAN)),
    }
    counted = [
        Scanned("THERE", ONT),
        Scanned("HIS", None),
        Scanned("KIND", CAMERA),
        Scanned("WHO", None),
    ]
    found = differences(counted, booked, ANNA)
    assert [(one.serial_number, one.difference, one.pool) for one in found] == [
        ("GONE", Difference.MISSING, Pool.VAN),
        ("HANDS", Difference.MISSING, Pool.RECOVERED),
        ("HIS", Difference.SURPLUS, Pool.VAN),
        ("WHO", Difference.SURPLUS, None),
        ("KIND", Difference.WRONG_KIND, Pool.VAN),
    ]


@pytest.mark.parametrize("difference", list(Difference))
@pytest.mark.parametrize("pool", [None, *Pool])
def test_each_cause_ends_where_the_table_of_moves_allows_it(difference, pool):
    theirs = difference is not Difference.SURPLUS
    if theirs and pool not in (Pool.VAN, Pool.RECOVERED):
        return
    at = place(pool, ANNA if theirs else BEN) if pool else None
    found = Found("A", difference, pool, ONT, CAMERA)
    for cause in causes_of(found):
        goes = settling(found, cause, at, ANNA, UNIT)
        stays = cause is Cause.NOT_OURS or (cause is Cause.FOUND and theirs)
        assert (goes is None) == stays
        if goes is not None:
            assert goes.after.pool in MOVES[pool, goes.handling]
    # What has moved since it was counted stays where that has brought it.
    for cause in Cause:
        assert settling(found, cause, place(Pool.WAREHOUSE), ANNA, UNIT) is None or (
            pool is Pool.WAREHOUSE
        )


def test_each_difference_needs_a_cause_it_can_have():
    found = [
        Found("A", Difference.MISSING, Pool.VAN, ONT, None),
        Found("B", Difference.SURPLUS, None, None, ONT),
    ]
    check_causes(found, {"A": Cause.LOST, "B": Cause.FOUND})
    with pytest.raises(Invalid) as refused:
        check_causes(found, {"A": Cause.NOT_OURS, "C": Cause.LOST})
    assert [one["field"] for one in refused.value.facts["errors"]] == ["C", "A", "B"]


@pytest.fixture
async def van(tx, app, http, clock):
    """A technician's van with two gateways, and a supervisor of the branch."""
    branch = await make_org_unit(tx)
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))
    for serial in ("A", "B"):
        await make_terminal(tx, branch, serial_number=serial, technician_id=phone.technician.id)

    async def settle(count_id, status=200, **causes):
        body = {
            "causes": [
                {"serial_number": serial, **({"cause": cause} if isinstance(cause, str) else cause)}
                for serial, cause in causes.items()
            ]
        }
        answer = await http.post(f"/v1/stock-counts/{count_id}/settle", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(path, **wanted):
        return (await http.get(f"/v1{path}", params=wanted, headers=headers)).json()

    async def count(*serials, status=201, **more):
        counted = [{"serial_number": one} if isinstance(one, str) else one for one in serials]
        body = {"id": str(new_id()), "counted": counted, **more}
        answer = await phone.post("/stock-counts", **body)
        assert answer.status_code == status, answer.text
        return answer.json()

    return SimpleNamespace(
        branch=branch, phone=phone, headers=headers, settle=settle, get=get, count=count
    )


async def where(tx, serial):
    place = (await queries.looked_up(tx, [serial]))[serial].place
    return place.pool, place.technician_id


async def moves(tx):
    return await tx.scalar(select(func.count()).select_from(TerminalMove))


async def test_a_count_is_settled_by_a_supervisor_and_the_loss_is_reported(tx, van, clock):
    unit, me = van.branch, van.phone.technician.id
    other = await make_technician(tx, org_unit=unit)
    await make_terminal(tx, unit, serial_number="HIS", technician_id=other.id)
    home = await make_customer(tx, org_unit=unit)
    await make_terminal(tx, unit, serial_number="HOME", customer_id=home.id)
    await make_terminal(tx, unit, serial_number="KIND", technician_id=me)
    await make_terminal(tx, await make_org_unit(tx), serial_number="FAR")
    kind = {"serial_number": "KIND", "kind": "camera"}
    given = {"id": str(new_id()), "device_at": clock.now().isoformat()}
    made = await van.count("A", "his", "HOME", "WHO", "FAR", kind, **given)
    assert made["state"] == "open"
    assert {one["serial_number"]: one["difference"] for one in made["differences"]} == {
        "B": "missing",
        "FAR": "surplus",
        "HIS": "surplus",
        "HOME": "surplus",
        "KIND": "wrong_kind",
        "WHO": "surplus",
    }
    far = next(one for one in made["differences"] if one["serial_number"] == "FAR")
    assert (far["elsewhere"], far["pool"]) == (True, None)
    assert await van.count("A", "his", "HOME", "WHO", "FAR", kind, **given) == made
    await van.count("A", status=409, **given)
    assert await moves(tx) == 0
    (listed,) = (await van.get("/stock-counts", state="open"))["counts"]
    assert listed == made
    causes: dict[str, Any] = {
        "B": "lost",
        "HIS": "misbooked",
        "HOME": "misbooked",
        "KIND": "misbooked",
        "WHO": "found",
        "FAR": "misbooked",
    }
    answer = await van.settle(made["id"], 422, **causes)
    assert [one["field"] for one in answer["facts"]["errors"]] == ["WHO"]
    causes["WHO"] = {"cause": "found", "kind": "set_top_box"}
    answer = await van.settle(made["id"], 422, **causes)
    assert [one["field"] for one in answer["facts"]["errors"]] == ["FAR"]
    causes["FAR"] = "not_ours"
    answer = await van.settle(made["id"], 422, **{**causes, "B": "not_ours"})
    assert [one["field"] for one in answer["facts"]["errors"]] == ["B"]
    assert await moves(tx) == 0
    settled = await van.settle(made["id"], **causes)
    assert settled["state"] == "settled"
    assert {one["serial_number"] for one in settled["differences"] if not one["moved"]} == {"FAR"}
    assert await van.settle(made["id"], **causes) == settled
    assert await where(tx, "B") == (Pool.LOST, None)
    assert await where(tx, "HIS") == (Pool.VAN, me)
    assert await where(tx, "HOME") == (Pool.RECOVERED, me)
    assert await where(tx, "WHO") == (Pool.VAN, me)
    assert await where(tx, "FAR") == (Pool.WAREHOUSE, None)
    assert (await queries.looked_up(tx, ["KIND"]))["KIND"].kind is CAMERA
    over = await van.settle(made["id"], 409, **{**causes, "B": "found"})
    assert over["type"] == PROBLEM + "count-settled"
    (losses,) = (await van.get("/terminal-losses"))["units"]
    (mine,) = (one for one in losses["technicians"] if one["technician_id"] == str(me))
    # A, KIND, WHO, HIS and HOME are there, and B was.
    assert (mine["lost"], mine["numerator"], mine["denominator"]) == (1, 1, 6)
    # It turns up again: the next count finds it.
    again = await van.count("A", "B", "HIS", "HOME", "WHO", "KIND")
    assert [one["pool"] for one in again["differences"]] == ["lost"]
    clock.tick(timedelta(hours=1))
    await van.settle(again["id"], B="found")
    (unit_row,) = (await van.get("/terminal-losses"))["units"]
    assert (unit_row["numerator"], unit_row["lost_elsewhere"]) == (0, 0)
    chain = await queries.history(
        tx, (await queries.looked_up(tx, ["B"]))["B"].id, before=99, size=9
    )
    assert [one.handling for one in chain] == [Handling.FIND, Handling.LOSE]


async def test_a_later_count_replaces_an_open_one_and_a_good_one_is_settled_at_once(van, tx):
    first = await van.count("A")
    second = await van.count("A", "B")
    assert (second["state"], second["differences"]) == ("settled", [])
    read = (await van.phone.get(f"/stock-counts/{first['id']}")).json()
    assert read["state"] == "replaced"
    over = await van.settle(first["id"], 409, B="lost")
    assert over["type"] == PROBLEM + "count-settled"
    assert await moves(tx) == 0


async def test_what_moved_since_the_count_stays_where_that_brought_it(tx, van, http):
    made = await van.count("A")
    body = {"id": str(new_id()), "handling": "return", "serial_numbers": ["B"]}
    await http.post("/v1/terminal-moves", json=body, headers=van.headers)
    settled = await van.settle(made["id"], B="lost")
    assert [one["moved"] for one in settled["differences"]] == [False]
    assert await where(tx, "B") == (Pool.WAREHOUSE, None)


async def test_counts_of_others_are_not_there(tx, app, http, clock, van):
    made = await van.count("A")
    stranger = await make_phone(tx, app, http, clock, org_unit=van.branch)
    assert (await stranger.get(f"/stock-counts/{made['id']}")).status_code == 404
    far = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    answer = await http.get(f"/v1/stock-counts/{made['id']}", headers=far)
    assert answer.status_code == 404
    body = {"id": str(new_id()), "counted": [], "technician_id": str(van.phone.technician.id)}
    assert (await http.post("/v1/stock-counts", json=body, headers=far)).status_code == 404
    del body["technician_id"]
    answer = await http.post("/v1/stock-counts", json=body, headers=van.headers)
    assert answer.json()["facts"]["errors"][0]["field"] == "technician_id"
    answer = await van.count("A", "a", status=422)
    assert answer["facts"]["errors"][0]["field"] == "counted"


@pytest.mark.parametrize(
    "wanted", [{"from": "2026-03-02", "until": "2026-03-01"}, {"from": "2025-01-01"}]
)
async def test_losses_are_told_of_a_sensible_time(van, wanted):
    answer = await van.get("/terminal-losses", **wanted)
    assert answer["facts"]["errors"][0]["field"] == "until"
