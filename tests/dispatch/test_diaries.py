"""What placing and the route of a day read of a visit that is under way."""

from datetime import date, timedelta

from app.dispatch.queries.diaries import contents
from app.dispatch.queries.routes import routes_of
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.dispatch import make_territory
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


async def test_service_that_is_restored_is_no_new_arrival(tx, clock):
    land = await make_territory(tx)
    person = await land.add_technician(land.grids[0])
    now = clock.now()
    row = await make_work_order(
        tx,
        now=now,
        org_unit=land.org_unit,
        state=State.ACKNOWLEDGED,
        holder_id=person.id,
        planned_day=TODAY,
    )
    await take_step(tx, row, Step.TRAVEL, now=now)
    arrived = now + timedelta(minutes=10)
    await take_step(tx, row, Step.CHECK_IN, now=arrived)
    await take_step(tx, row, Step.RESTORE, now=now + timedelta(minutes=40))
    read, _ = await contents(tx, [person.id], first_day=TODAY, last_day=TODAY, now=now)
    [visit] = read[person.id].visits[TODAY]
    routes = await routes_of(tx, [person.id], [TODAY], today=TODAY)
    [stop] = routes[person.id, TODAY].stops
    assert (visit.state, visit.since) == (State.ON_SITE, arrived.timestamp())
    assert stop == visit
