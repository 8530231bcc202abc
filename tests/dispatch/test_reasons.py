"""Every reason why nobody has an order, as the outside world brings it about."""

from typing import Any

import pytest

from app.auth.rules import Role
from app.core.jobs import Worker
from app.dispatch import jobs
from app.dispatch.rules import HEALED_BY_TIME, REASON_WORDS, PassedOver, reason_words
from app.workorders.rules import UnplacedReason
from tests.dispatch.test_intake import REASONS
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import Territory, make_territory, ndjson, order
from tests.make.visits import Phone


class World:
    """A branch with one grid and its primary, whom the public API is used by."""

    def __init__(self, tx, app, http, land: Territory, worker: Worker, clock) -> None:
        self.tx, self.app, self.http, self.land, self.worker = tx, app, http, land, worker
        self.clock = clock

    def headers(self, role: Role, **fields) -> dict[str, str]:
        return bearer(self.app, caller_for(role, self.land.org_unit, **fields))

    async def bulk(self, *orders) -> None:
        headers = self.headers(Role.INTEGRATION)
        answer = await self.http.post(
            "/v1/work-orders/bulk", content=ndjson(*orders), headers=headers
        )
        assert answer.content.count(b'"refused"') == 0, answer.text

    async def one(self) -> dict[str, Any]:
        headers = self.headers(Role.SUPERVISOR)
        answer = await self.http.get("/v1/work-orders", headers=headers)
        order: dict[str, Any] = answer.json()["orders"][0]
        return order


@pytest.fixture
async def world(tx, app, http, settings, clock, database):
    land = await make_territory(tx)
    await land.add_technician(land.grids[0])
    return World(tx, app, http, land, Worker(settings, clock, database), clock)


async def shared_point(world: World) -> None:
    """Eight streets name one point: it stands in for an address nobody knows."""
    point = world.land.point_in(world.land.grids[0])
    await world.bulk(*(order(f"F-{n}", point=point, locality=f"Street {n}") for n in range(8)))


async def all_declined(world: World) -> None:
    """The only technician declines on the phone."""
    land, [technician] = world.land, world.land.people
    await world.bulk(order(point=land.point_in(land.grids[0])))
    account = await make_account(
        world.tx, land.org_unit, role=Role.TECHNICIAN, technician_id=technician.id
    )
    headers = world.headers(Role.TECHNICIAN, account_id=account.id, technician_id=technician.id)
    phone = Phone(world.http, headers, world.clock, technician)
    given = await world.one()
    answer = await phone.post(f"/work-orders/{given['id']}/decline", cause="no_time")
    assert answer.status_code == 200, answer.text
    await jobs.place_anew(world.worker, order_id=given["id"])


async def taken_back(world: World) -> None:
    """A supervisor takes it from its holder."""
    land = world.land
    await world.bulk(order(point=land.point_in(land.grids[0])))
    given = await world.one()
    account = await make_account(world.tx, land.org_unit, role=Role.SUPERVISOR)
    answer = await world.http.post(
        "/v1/work-orders/moves",
        json={
            "id": "019cabea-8780-7054-9e31-1ed040be4733",
            "kind": "take_back",
            "reason": "ill",
            "rows": [{"order_id": given["id"], "version": given["version"]}],
        },
        headers=world.headers(Role.SUPERVISOR, account_id=account.id),
    )
    assert answer.status_code == 201, answer.text


async def outage(world: World) -> None:
    """A supervisor has declared one of the grid before the report comes."""
    land = world.land
    account = await make_account(world.tx, land.org_unit, role=Role.SUPERVISOR)
    answer = await world.http.post(
        "/v1/outages",
        json={
            "id": "019cabea-8780-7054-9e31-1ed040be4734",
            "kind": "grid",
            "key": str(land.grids[0].id),
            "cause": "power",
        },
        headers=world.headers(Role.SUPERVISOR, account_id=account.id),
    )
    assert answer.status_code == 201, answer.text
    await world.bulk(order(point=land.point_in(land.grids[0])))


# What more than one call brings about; the others are the fate of an order as it is taken in.
LATER = [shared_point, all_declined, taken_back, outage]


@pytest.mark.parametrize("arranged", LATER, ids=lambda arranged: arranged.__name__)
async def test_what_happens_later_has_its_reason(world, arranged):
    await arranged(world)
    order = await world.one()
    assert (order["state"], order["unplaced_reason"]) == ("unplaced", arranged.__name__)


def test_there_is_a_scene_for_every_reason():
    """Whoever adds a reason adds a scene that brings it about: here, or in `test_intake`."""
    scenes = [arranged.__name__ for arranged in (*REASONS, *LATER)]
    assert sorted(scenes) == sorted(UnplacedReason)


def test_every_reason_has_words_and_is_healed_by_time_or_left_to_people():
    left_to_people = {
        UnplacedReason.NO_POINT,
        UnplacedReason.SHARED_POINT,
        UnplacedReason.TAKEN_BACK,
        UnplacedReason.OUTAGE,
    }
    assert set(UnplacedReason) - HEALED_BY_TIME == left_to_people
    assert all(words.zh and words.en for words in map(reason_words, UnplacedReason))
    assert REASON_WORDS.keys() == set(PassedOver)
