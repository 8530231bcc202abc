"""The demo's technician at the doors of the demo city's work types: whatever goes wrong on the way,
each order ends complete, with all that its template asks for."""

import random
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from app.activation.models import Activation
from app.activation.rules import ActivationState
from app.core.db import new_id
from app.demo.day import Day, Tally
from app.demo.door import DARK, Door
from app.demo.hand import Hand
from app.demo.network import STREAM, Counts, Network
from app.demo.telephones import Telephones
from app.evidence.models import Evidence
from app.evidence.rules import UploadState
from app.terminals.models import Terminal
from app.workorders.models import WorkOrder
from tests.make.acceptance import code_on_telephone
from tests.make.phones import make_reference_phone
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


class Worked(httpx.AsyncBaseTransport):
    """A network behind which the worker has done its jobs by the time that an answer is there."""

    def __init__(self, town) -> None:
        self._town = town

    async def handle_async_request(self, request):
        if request.url.path == STREAM:
            raise httpx.ConnectError("what is told is rolled back here, and nobody hears of it")
        answer = await self._town.phone.http._transport.handle_async_request(request)
        if request.method == "POST":
            await self._town.work()
        return answer


class Readers(Telephones):
    """Customers who read out what is on their telephones, which here is in the database."""

    def __init__(self, town, visit) -> None:
        super().__init__(town.phone.http, town.phone.http)
        self.town, self.visit = town, visit

    async def read_out(self, number, seen, *, kind="acceptance_code"):
        return await code_on_telephone(self.town.tx, self.visit)


def in_hand(town, folder, tally):
    """Give the town's technician the reference phone."""
    network = Network(Worked(town), counts := Counts())
    http = httpx.AsyncClient(transport=network, base_url="http://yingwei.test")
    phone = make_reference_phone(folder, town.phone, http)
    return Hand(phone, network, ("", ""), counts, tally)


async def served_at_the_door(town, work_type, luck, folder):
    """Let a technician of the demo do one order, and give the order and what was counted."""
    order = await town.take_in(work_type)
    visit = await town.arrive(order)
    tally, offered, ahead = Tally(), [], []
    hand = in_hand(town, folder, tally)
    await hand.sync()
    shown = hand.phone.order(str(order.id))
    starts = town.phone.clock.now()
    day = Day(town.phone.clock, starts, starts + timedelta(hours=11), speed=1e9)

    async def offer(customer):
        offered.append((customer["id"], hand.dark))

    async def look_ahead():
        ahead.append(hand.dark)

    telephones = Readers(town, visit)
    door = Door(hand, day, telephones, tally, Luck(luck), shown, str(visit), offer, look_ahead)
    await door.work(resumed=False)
    await hand.switch_off()
    # What may be offered is taken along to where there is no network.
    dark = luck < DARK
    assert (offered, ahead) == ([(str(town.customer.id), dark)], [False] * dark)
    assert bool(tally.offline) == dark
    return await town.tx.get_one(WorkOrder, order.id, populate_existing=True), tally, hand


# Half the luck: nothing happens. Little: all that can be forgotten, mistaken or put off is.
@pytest.mark.parametrize("luck", [0.5, 0.045])
@pytest.mark.parametrize("work_type", ["install", "repair", "relocate", "remove", "care"])
async def test_an_order_is_completed_whatever_goes_wrong(town, tx, tmp_path, work_type, luck):
    unit, me = town.land.org_unit, town.phone.technician.id
    # One platform opens the lines of all tests, and each gateway on one line only.
    new, old = (f"{name}{new_id().hex[-8:].upper()}" for name in ("NEW", "OLD"))
    await make_terminal(tx, unit, technician_id=me, serial_number=new)
    spare = f"SPARE{new}"
    if work_type == "install":
        await make_terminal(tx, unit, technician_id=me, serial_number=spare)
    else:
        await make_terminal(tx, unit, customer_id=town.customer.id, serial_number=old)
    done, tally, hand = await served_at_the_door(town, work_type, luck, tmp_path)
    assert done.state == "completed"
    assert tally.done["visits_complete"] == 1
    assert not tally.done["visits_hand_back"] and not tally.done["visits_activation_override"]
    assert tally.forgotten == (luck < 0.08)
    store = hand.phone.store
    assert store.done(waiting=True) == [] and store.pictures() == []
    noes = {one.code for one in store.done()} - {None}
    assert noes <= {"not-complete", "acceptance-code-wrong"}
    states = (await tx.scalars(select(Evidence.state).where(Evidence.kind == "photo"))).all()
    assert set(states) <= {UploadState.STORED}
    assert (
        len(states) == {"install": 4, "repair": 1, "relocate": 2, "remove": 1, "care": 0}[work_type]
    )
    opened = (await tx.scalars(select(Activation.state))).all()
    asked = work_type in ("install", "relocate")
    assert opened == [ActivationState.PROVISIONED] * asked
    places = {one.serial_number: one.pool for one in await tx.scalars(select(Terminal))}
    fitted = work_type == "install" or (work_type == "repair" and luck < 0.15)
    assert [places[new], places.get(spare)].count("customer") == fitted
    if work_type == "remove":
        assert places[old] == "recovered"


async def test_an_order_for_which_nothing_is_in_the_van_goes_to_somebody_who_has_it(
    town, tx, tmp_path
):
    order = await town.take_in("install")
    visit = await town.arrive(order)
    tally = Tally()
    hand = in_hand(town, tmp_path, tally)
    await hand.sync()
    shown = hand.phone.order(str(order.id))
    starts = town.phone.clock.now()
    day = Day(town.phone.clock, starts, starts + timedelta(hours=11), speed=1e9)

    async def offer(customer):
        raise AssertionError("nothing is offered by who does nothing")

    async def look_ahead():
        raise AssertionError("there is a network here")

    door = Door(
        hand, day, Readers(town, visit), tally, Luck(0.5), shown, str(visit), offer, look_ahead
    )
    await door.work(resumed=False)
    await hand.switch_off()
    assert tally.done["visits_hand_back"] == 1
    back = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert list(back.terminals) == ["ont_gateway"]
