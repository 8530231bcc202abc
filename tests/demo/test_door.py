"""The demo's technician at the doors of the demo city's work types: whatever goes wrong on the way,
each order ends complete, with all that its template asks for."""

import random
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.activation.models import Activation
from app.activation.rules import ActivationState
from app.core.clock import wall
from app.core.db import new_id
from app.demo.day import Day, Tally
from app.demo.door import Door
from app.demo.line import Counts, Line
from app.demo.telephones import Telephones
from app.demo.uploads import outstanding, send_rest
from app.evidence.models import Evidence
from app.evidence.rules import UploadState
from app.terminals.models import Terminal
from app.workorders.models import WorkOrder
from tests.make.acceptance import code_on_telephone
from tests.make.terminals import make_terminal
from tests.make.town import make_town, served_platform, town_settings


@pytest.fixture(scope="module")
def platform(tmp_path_factory):
    with served_platform(tmp_path_factory.mktemp("platform")) as url:
        yield url


@pytest.fixture
def settings(settings, tmp_path, platform):
    return town_settings(settings, tmp_path, platform)


@pytest.fixture
async def town(tx, app, http, clock, settings, database):
    async with make_town(tx, app, http, clock, settings, database) as made:
        yield made


class Luck(random.Random):
    """Luck that never changes."""

    def __init__(self, always: float) -> None:
        super().__init__(0)
        self.always = always

    def random(self) -> float:
        return self.always


class WorkedLine(Line):
    """A line behind which the worker has done its jobs by the time that an answer is there."""

    def __init__(self, town) -> None:
        super().__init__(town.phone.http, "", "", Counts())
        self._town = town
        self._renew_at = wall() + timedelta(hours=1)
        self._token = town.phone.headers["authorization"].removeprefix("Bearer ")

    async def post(self, path, body):
        reply = await super().post(path, body)
        await self._town.work()
        return reply


class Readers(Telephones):
    """Customers who read out what is on their telephones, which here is in the database."""

    def __init__(self, town, visit) -> None:
        super().__init__(town.phone.http, town.phone.http)
        self.town, self.visit = town, visit

    async def read_out(self, number, seen):
        return await code_on_telephone(self.town.tx, self.visit)


async def served_at_the_door(town, work_type, luck):
    """Let a technician of the demo do one order, and give the order and what was counted."""
    order = await town.take_in(work_type)
    visit = await town.arrive(order)
    line, tally, offered = WorkedLine(town), Tally(), []
    orders = (await line.get("/v1/my/day")).body["orders"]
    (shown,) = [one for one in orders if one["id"] == str(order.id)]
    starts = town.phone.clock.now()
    day = Day(town.phone.clock, starts, starts + timedelta(hours=11), speed=1e9)

    async def offer(code):
        offered.append(code)

    telephones = Readers(town, visit)
    door = Door(line, day, telephones, tally, Luck(luck), shown, str(visit), offer)
    await door.work(resumed=False)
    assert offered == [town.customer.code]
    return await town.tx.get_one(WorkOrder, order.id, populate_existing=True), tally, shown


# Half the luck: nothing happens. Little: all that can be forgotten, mistaken or put off is.
@pytest.mark.parametrize("luck", [0.5, 0.045])
@pytest.mark.parametrize("work_type", ["install", "repair", "relocate", "remove", "care"])
async def test_an_order_is_completed_whatever_goes_wrong(town, tx, work_type, luck):
    unit, me = town.land.org_unit, town.phone.technician.id
    # One platform opens the lines of all tests, and each gateway on one line only.
    new, old = (f"{name}{new_id().hex[-8:].upper()}" for name in ("NEW", "OLD"))
    await make_terminal(tx, unit, technician_id=me, serial_number=new)
    if work_type != "install":
        await make_terminal(tx, unit, customer_id=town.customer.id, serial_number=old)
    done, tally, shown = await served_at_the_door(town, work_type, luck)
    assert done.state == "completed"
    assert (tally.completed, tally.handed_back, tally.overridden) == (1, 0, 0)
    assert tally.forgotten == (luck < 0.08)

    # Pictures that were only announced are sent by whatever phone looks next.
    line = WorkedLine(town)
    for picture in await outstanding(line, shown):
        await send_rest(line, picture)
    states = (await tx.scalars(select(Evidence.state))).all()
    assert set(states) <= {UploadState.STORED}
    assert (
        len(states) == {"install": 4, "repair": 1, "relocate": 2, "remove": 1, "care": 0}[work_type]
    )
    opened = (await tx.scalars(select(Activation.state))).all()
    asked = work_type in ("install", "relocate")
    assert opened == [ActivationState.PROVISIONED] * asked
    places = {one.serial_number: one.pool for one in await tx.scalars(select(Terminal))}
    fitted = work_type == "install" or (work_type == "repair" and luck < 0.15)
    assert places[new] == ("customer" if fitted else "van")
    if work_type == "remove":
        assert places[old] == "recovered"


async def test_an_order_for_which_nothing_is_in_the_van_goes_to_somebody_who_has_it(town, tx):
    order = await town.take_in("install")
    visit = await town.arrive(order)
    line, tally = WorkedLine(town), Tally()
    orders = (await line.get("/v1/my/day")).body["orders"]
    starts = town.phone.clock.now()
    day = Day(town.phone.clock, starts, starts + timedelta(hours=11), speed=1e9)

    async def offer(code):
        raise AssertionError("nothing is offered by who does nothing")

    door = Door(line, day, Readers(town, visit), tally, Luck(0.5), orders[0], str(visit), offer)
    await door.work(resumed=False)
    assert tally.handed_back == 1
    back = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert list(back.terminals) == ["ont_gateway"]
