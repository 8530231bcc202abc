"""A depot's work, hand-overs and a terminal's history over HTTP; a whole life of one device."""

from types import SimpleNamespace

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.terminals import queries, service
from app.terminals.models import TerminalBatch, TerminalHandover, TerminalMove
from app.terminals.rules import Handling, MoveNotAllowed, Place, Pool, Why
from app.terminals.rules.depot import DEPOT, RowFault, Van, judge_batch
from app.terminals.service import How
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_customer
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal
from tests.make.visits import make_phone

PROBLEM = "urn:yingwei:problem:"
VAN = Van(new_id(), new_id())
THEIRS = Place(Pool.VAN, VAN.org_unit_id, technician_id=VAN.technician_id)
SHELF, SCRAPPED = Place(Pool.WAREHOUSE, VAN.org_unit_id), Place(Pool.SCRAP, VAN.org_unit_id)


@pytest.mark.parametrize(
    ("handling", "serials", "places", "faults"),
    [
        (Handling.ISSUE, ["A", "B"], {"A": SHELF, "B": SHELF}, [None, None]),
        (Handling.ISSUE, ["A", "B"], {"A": SHELF}, [None, RowFault.UNKNOWN]),
        (Handling.ISSUE, ["A", "A"], {"A": SHELF}, [RowFault.REPEATED] * 2),
        (Handling.ISSUE, ["A"], {"A": SCRAPPED}, [RowFault.NOT_THERE]),
        (Handling.TRANSFER, ["A"], {"A": THEIRS}, [RowFault.SAME_VAN]),
        (Handling.RESTOCK, ["A"], {"A": SHELF}, [RowFault.NOT_THERE]),
        (Handling.SCRAP, ["A"], {"A": SHELF}, [None]),
    ],
)
def test_each_row_of_a_batch_is_judged(handling, serials, places, faults):
    van = VAN if handling in (Handling.ISSUE, Handling.TRANSFER) else None
    judged = judge_batch(handling, serials, places, van)
    assert [row.fault for row in judged] == faults
    assert all((row.after is None) == (row.words is not None) for row in judged)


@pytest.fixture
async def depot(tx, app, http, clock):
    branch = await make_org_unit(tx)
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))
    phone = await make_phone(tx, app, http, clock, org_unit=branch)

    async def send(handling, *serials, status=200, path="", **more):
        body = {"id": str(new_id()), "handling": handling, "serial_numbers": list(serials), **more}
        answer = await http.post(f"/v1/terminal-moves{path}", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def get(path, **wanted):
        answer = await http.get(f"/v1{path}", params=wanted, headers=headers)
        return answer.json() if answer.status_code == 200 else answer.status_code

    return SimpleNamespace(
        branch=branch, headers=headers, phone=phone, send=send, get=get, account=account
    )


async def moves(tx):
    return await tx.scalar(select(func.count()).select_from(TerminalMove))


async def test_the_life_of_a_terminal_can_be_read(tx, depot, clock):
    await make_terminal(tx, depot.branch, serial_number="A")
    who = str(depot.phone.technician.id)
    await depot.send("issue", "sn:a", technician_id=who)
    customer = await make_customer(tx, org_unit=depot.branch)
    home = Place(Pool.CUSTOMER, depot.branch.id, customer_id=customer.id)
    hands = Place(Pool.RECOVERED, depot.branch.id, technician_id=depot.phone.technician.id)
    for handling, after, why in (
        (Handling.FIT, home, Why.INSTALLED),
        (Handling.TAKE, hands, Why.SERVICE_ENDED),
    ):
        held = (await queries.for_change(tx, ["A"]))["A"]
        how = How(why, clock.now(), technician_id=depot.phone.technician.id)
        await service.book(tx, [service.booking(held, handling, after)], how)
    van = (await depot.phone.get("/my/van")).json()
    assert [one["serial_number"] for one in van["to_hand_in"]] == ["A"]
    assert {one["kind"]: one["low"] for one in van["stock"]} == {
        "ont_gateway": True,
        "set_top_box": True,
        "wifi_repeater": True,
        "camera": False,
    }
    for then in ("hand_in", "refurbish", "restock"):
        await depot.send(then, "A")
    await depot.send("scrap", "A", why="outdated")
    history = await depot.get("/terminals/a/history")
    assert history["terminal"]["pool"] == "scrap"
    assert [one["handling"] for one in history["moves"]] == [
        "scrap",
        "restock",
        "refurbish",
        "hand_in",
        "take",
        "fit",
        "issue",
    ]
    fitted = history["moves"][5]
    assert (fitted["to_customer_id"], fitted["why"]) == (str(customer.id), "installed")
    assert customer.name not in str(history)
    assert history["moves"][6]["by_account"] == depot.account.username
    page = await depot.get("/terminals/A/history", size=4)
    more = await depot.get("/terminals/A/history", size=4, page_token=page["next_page_token"])
    assert page["moves"] + more["moves"] == history["moves"]
    assert more["next_page_token"] is None
    assert await depot.get("/terminals/NONE/history") == 404
    await make_terminal(tx, await make_org_unit(tx), serial_number="FAR")
    assert await depot.get("/terminals/FAR/history") == 404


async def test_all_of_a_batch_is_moved_or_none(tx, depot):
    for serial in ("A", "B"):
        await make_terminal(tx, depot.branch, serial_number=serial)
    await make_terminal(tx, await make_org_unit(tx), serial_number="FAR")
    who = str(depot.phone.technician.id)
    seen = await depot.send("issue", "A", "B", "FAR", path="/preview", technician_id=who)
    assert seen["refused"] == 1
    assert [(row["to_pool"], row["fault"]) for row in seen["rows"]] == [
        ("van", None),
        ("van", None),
        (None, "unknown"),
    ]
    refused = await depot.send("issue", "A", "B", "FAR", status=409, technician_id=who)
    assert refused["type"] == PROBLEM + "terminals-not-moved"
    (row,) = refused["facts"]["rows"]
    assert (row["serial_number"], row["code"]) == ("FAR", "unknown")
    assert await moves(tx) == 0
    assert await tx.scalar(select(func.count()).select_from(TerminalBatch)) == 0
    given = {"id": str(new_id()), "technician_id": who}
    first = await depot.send("issue", "A", "B", **given)
    assert (first["moved"], first["why"]) == (2, "stock_up")
    assert await depot.send("issue", "A", "B", **given) == first
    other = await depot.send("issue", "A", status=409, **given)
    assert other["type"] == PROBLEM + "same-id-other-content"
    assert await moves(tx) == 2


@pytest.mark.parametrize(
    ("handling", "more"),
    [
        ("fit", {}),
        ("issue", {}),
        ("return", {"technician_id": str(new_id())}),
        ("scrap", {"why": "lost"}),
    ],
)
async def test_what_a_depot_does_not_do_is_refused(tx, depot, handling, more):
    await make_terminal(tx, depot.branch, serial_number="A")
    answer = await depot.send(handling, "A", status=422, **more)
    assert answer["type"] == PROBLEM + "invalid"
    assert await moves(tx) == 0


async def test_nothing_goes_to_who_is_not_ones_own(tx, depot, http):
    await make_terminal(tx, depot.branch, serial_number="A")
    stranger = await make_technician(tx, org_unit=await make_org_unit(tx))
    await depot.send("issue", "A", status=404, technician_id=str(stranger.id))
    body = {"id": str(new_id()), "handling": "scrap", "serial_numbers": ["A"]}
    answer = await http.post("/v1/terminal-moves", json=body, headers=depot.phone.headers)
    assert answer.status_code == 403
    assert await moves(tx) == 0


async def test_a_large_batch_takes_no_more_statements_than_a_small_one(tx, depot, database):
    await tx.execute(
        text(
            "INSERT INTO terminal (id, org_unit_id, serial_number, kind, model, pool)"
            " SELECT gen_random_uuid(), :unit, 'S' || n, 'camera', 'C', 'warehouse'"
            " FROM generate_series(1, 330) n"
        ),
        {"unit": depot.branch.id},
    )
    with counted(database) as few:
        await depot.send("scrap", *(f"S{n}" for n in range(1, 31)))
    with counted(database) as many:
        await depot.send("scrap", *(f"S{n}" for n in range(31, 331)))
    assert len(many) == len(few)


async def test_a_terminal_is_given_to_a_colleague_who_says_that_it_is_there(
    tx, app, http, clock, depot
):
    giver, taker = depot.phone, await make_phone(tx, app, http, clock, org_unit=depot.branch)
    await make_terminal(tx, depot.branch, serial_number="A", technician_id=giver.technician.id)
    given = {
        "id": str(new_id()),
        "serial_number": "a",
        "technician_code": taker.technician.code,
        "device_at": clock.now().isoformat(),
    }
    refused = await taker.post("/terminal-handovers", **{**given, "technician_code": "T-9"})
    assert refused.status_code == 404
    to_self = await giver.post(
        "/terminal-handovers", **{**given, "technician_code": giver.technician.code}
    )
    assert to_self.status_code == 422
    not_mine = await giver.post("/terminal-handovers", **{**given, "serial_number": "B"})
    assert not_mine.json()["type"] == PROBLEM + "not-in-your-van"
    assert await tx.scalar(select(func.count()).select_from(TerminalHandover)) == 0
    first = await giver.post("/terminal-handovers", **given)
    assert first.status_code == 201
    assert (await giver.post("/terminal-handovers", **given)).json() == first.json()
    later = {**given, "device_at": clock.now().replace(hour=12).isoformat()}
    other = await giver.post("/terminal-handovers", **later)
    assert other.json()["type"] == PROBLEM + "same-id-other-content"
    for phone in (giver, taker):
        (listed,) = (await phone.get("/my/terminal-handovers")).json()["handovers"]
        assert (listed["id"], listed["state"]) == (given["id"], "offered")
    accept = f"/terminal-handovers/{given['id']}/accept"
    assert (await giver.post(accept)).status_code == 404
    accepted = (await taker.post(accept)).json()
    assert accepted["state"] == "accepted"
    assert (await taker.post(accept)).json() == accepted
    assert await moves(tx) == 1
    held = (await queries.looked_up(tx, ["A"]))["A"]
    assert held.place.technician_id == taker.technician.id
    over = await giver.post(f"/terminal-handovers/{given['id']}/withdraw")
    assert over.json()["type"] == PROBLEM + "handover-over"
    assert (await taker.get("/my/terminal-handovers")).json()["handovers"] == []
    # Declined, it stays where it is; and what has gone elsewhere is not accepted any more.
    back = {**given, "technician_code": giver.technician.code}
    for answer in ("decline", "gone"):
        back["id"] = str(new_id())
        assert (await taker.post("/terminal-handovers", **back)).status_code == 201
        if answer == "decline":
            await giver.post(f"/terminal-handovers/{back['id']}/decline")
        else:
            await depot.send("return", "A")
            gone = await giver.post(f"/terminal-handovers/{back['id']}/accept")
            assert gone.json()["type"] == PROBLEM + "terminal-moved-since"
    assert await moves(tx) == 2


async def test_what_the_customer_lost_is_written_off_once(tx, depot, clock):
    customer = await make_customer(tx, org_unit=depot.branch)
    await make_terminal(tx, depot.branch, serial_number="A", customer_id=customer.id)
    how = How(Why.CUSTOMER_LOST_IT, clock.now())
    (made,) = await service.write_off(tx, ["A", "NONE"], how)
    assert made.link.after.pool is Pool.LOST
    with pytest.raises(MoveNotAllowed):
        await service.write_off(tx, ["A"], how)
    assert set(DEPOT) >= {Handling.LOSE, Handling.FIND}
