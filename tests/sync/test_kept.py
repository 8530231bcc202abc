"""What a phone is told beside its orders and acts on without a network: hand-overs, the shift."""

from datetime import timedelta

import pytest
from sqlalchemy import text

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.terminals.rules import Pool
from tests.make.auth import make_org_unit
from tests.make.terminals import make_terminal
from tests.make.visits import make_phone, taken
from tests.sync.stores import Store


@pytest.fixture
async def two(tx, app, http, clock):
    """Two technicians of one branch."""
    unit = await make_org_unit(tx)
    return [await make_phone(tx, app, http, clock, org_unit=unit) for _ in "12"]


@pytest.fixture
def told(tx):
    """Pull what is new, by several phones; nothing but that is news afterwards."""

    async def told(*stores):
        await tx.commit()
        for store in stores:
            await store.pull()
        # Within one transaction, as here, everything is told again and again.
        await tx.execute(text("UPDATE sync_row SET xid = 0"))
        await tx.commit()

    return told


async def push(phone, kind, **payload):
    action = {
        "id": str(new_id()),
        "type": kind,
        "payload": payload,
        "device_at": phone.clock.now().isoformat(),
    }
    body = {"changes": {"actions": {"created": [action]}}}
    answer = await phone.http.post("/v1/sync", json=body, headers=phone.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["verdicts"][0]["verdict"]


async def test_what_a_colleague_gives_is_on_the_phone_and_accepted_without_a_network(
    tx, two, told, clock
):
    giver, taker = two
    unit = await tx.get_one(OrgUnit, giver.technician.org_unit_id)
    terminal = await make_terminal(tx, unit, technician_id=giver.technician.id)
    gives, takes = Store(giver), Store(taker)
    await told(gives, takes)
    handover_id = str(new_id())
    asked = {"serial_number": terminal.serial_number, "technician_code": taker.technician.code}
    taken(await giver.post("/terminal-handovers", id=handover_id, **asked))
    await told(gives, takes)
    row = takes["handovers"][handover_id]
    assert (row["own"], row["serial_number"]) == (False, terminal.serial_number)
    assert row["from_technician"] == giver.technician.name
    assert gives["handovers"][handover_id] == {**row, "own": True}
    fresh = Store(taker)
    await fresh.pull()
    assert fresh["handovers"] == takes["handovers"]

    clock.tick(timedelta(hours=1))
    assert await push(taker, "terminals_handovers_accept", handover_id=handover_id) == "applied"
    await told(gives, takes)
    assert gives["handovers"] == takes["handovers"] == gives["terminals"] == {}
    assert list(takes["terminals"]) == [str(terminal.id)]


async def test_what_has_left_the_givers_van_is_not_offered_any_more(tx, two, told, clock):
    giver, taker = two
    unit = await tx.get_one(OrgUnit, giver.technician.org_unit_id)
    terminal = await make_terminal(tx, unit, technician_id=giver.technician.id)
    asked = {"serial_number": terminal.serial_number, "technician_code": taker.technician.code}
    taken(await giver.post("/terminal-handovers", id=str(new_id()), **asked))
    gives, takes = Store(giver), Store(taker)
    await told(gives, takes)
    for pool, whose, offered in (
        (Pool.WAREHOUSE, None, 0),
        (Pool.VAN, giver.technician.id, 1),
        (Pool.VAN, taker.technician.id, 0),
    ):
        where = {"pool": pool.value, "whose": whose}
        await tx.execute(text("UPDATE terminal SET pool = :pool, technician_id = :whose"), where)
        await told(gives, takes)
        assert len(gives["handovers"]) == len(takes["handovers"]) == offered


async def test_the_shift_that_goes_on_is_known_to_every_phone_and_ended_by_any(two, told, clock):
    phone, _ = two
    store = Store(phone)
    await told(store)
    shift_id = str(new_id())
    assert await push(phone, "my_shifts_begin", id=shift_id) == "applied"
    await told(store)
    began = clock.now().isoformat()
    row = {"id": shift_id, "began_at": began, "shares_position": False}
    assert list(store["shifts"].values()) == [row]
    # Of another phone, or one that was installed anew, the same shift goes on.
    clock.tick(timedelta(hours=8))
    agreed = {"shift_id": shift_id, "positions_consent": 1}
    assert await push(phone, "my_shifts_consent", **agreed) == "applied"
    await told(store)
    assert store["shifts"][shift_id]["shares_position"]
    anew = Store(phone)
    await anew.pull()
    [known] = anew["shifts"]
    assert await push(phone, "my_shifts_end", shift_id=known) == "applied"
    await told(store)
    assert store["shifts"] == {}
