"""The board over HTTP: who is on it, what it says of each visit, and whose rows it never shows."""

from datetime import date, datetime, time, timedelta

import pytest

from app.auth.rules import Role
from app.board.schemas import (
    BoardOut,
    BoardTechnicianOut,
    BoardVisitOut,
    TotalsOut,
    UnplacedOut,
)
from tests.conftest import SHANGHAI
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.statements import statements
from tests.make.visits import TODAY, make_assigned_order, make_phone

TOMORROW = TODAY + timedelta(days=1)


def at(clock: str, day: date = TODAY) -> datetime:
    """A moment in Shanghai, on Monday 2 March 2026 unless told otherwise."""
    return datetime.combine(day, time.fromisoformat(clock), SHANGHAI)


def said(moment: str | None) -> str | None:
    """The local time of a moment that the board tells."""
    return moment and f"{datetime.fromisoformat(moment).astimezone(SHANGHAI):%H:%M}"


class Supervisor:
    """Somebody who watches a unit's board."""

    def __init__(self, http, app, unit, role=Role.SUPERVISOR):
        self.http, self.headers = http, bearer(app, caller_for(role, unit))

    async def get(self, query="", **headers):
        return await self.http.get(f"/v1/board{query}", headers={**self.headers, **headers})

    async def look(self, query=""):
        answer = await self.get(query)
        assert answer.status_code == 200, answer.text
        read = answer.json()
        documented(read)
        return read

    async def route(self, technician, query=""):
        """A technician's row, and the visits in it by their external ids."""
        board = await self.look(query)
        [row] = [one for one in board["technicians"] if one["id"] == str(technician.id)]
        return row, {one["external_id"]: one for one in row["visits"]}


def documented(board):
    """What is sent by hand is what is documented: every field, and no other."""
    BoardOut.model_validate(board, strict=False)
    assert board.keys() == BoardOut.model_fields.keys()
    if board["totals"]:
        assert board["totals"].keys() == TotalsOut.model_fields.keys()
    for row in board["technicians"] or ():
        assert row.keys() == BoardTechnicianOut.model_fields.keys()
        for visit in row["visits"]:
            assert visit.keys() == BoardVisitOut.model_fields.keys()
    for waiting in board["unplaced"] or ():
        assert waiting.keys() == UnplacedOut.model_fields.keys()


@pytest.fixture
async def city(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def branch(tx, city):
    return await make_org_unit(tx, parent=city)


@pytest.fixture
async def elsewhere(tx, city):
    return await make_org_unit(tx, parent=city)


@pytest.fixture
async def watch(http, app, branch):
    return Supervisor(http, app, branch)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
def give(tx, clock):
    """Give an order to somebody."""

    async def give(technician, name="F-1", **fields):
        return await make_assigned_order(
            tx, technician, now=clock.now(), external_id=name, **fields
        )

    return give


async def test_an_empty_board(watch, branch):
    board = await watch.look()
    assert (board["day"], board["as_of"]) == ("2026-03-02", "2026-03-02T01:00:00Z")
    assert board["org_unit_id"] == str(branch.id)
    assert (board["technicians"], board["unplaced"], board["unplaced_count"]) == ([], [], 0)
    assert set(board["totals"].values()) == {0}


async def test_smoke(watch, phone, give, tx, clock):
    await give(phone.technician, "A", due_at=at("11:00"))
    await give(phone.technician, "B", appointment_from=at("10:00"), appointment_until=at("12:00"))
    done = await give(phone.technician, "C")
    await phone.complete(await phone.arrive(done))
    import json

    print(json.dumps(await watch.look(), indent=1, ensure_ascii=False))
    with statements() as s:
        await watch.look()
    print(len(s), [x[:60] for x in s])
    assert 0
