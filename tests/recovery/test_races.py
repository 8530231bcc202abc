"""Many technicians want one pick-up on the way: one has it, the others are told."""

import asyncio
from datetime import date, timedelta

from sqlalchemy import select

from app.auth.rules import Role
from app.core.jobs import Worker
from app.recovery import jobs
from app.recovery.models import Recovery
from app.recovery.rules import RecoveryTaken
from app.recovery.service.owing import request
from app.recovery.service.stops import take
from app.terminals.rules import DueCause
from app.workorders.models import WorkOrder
from tests.make.auth import caller_for, make_account
from tests.make.customers import make_address, make_customer
from tests.make.dispatch import make_territory
from tests.make.terminals import make_terminal


async def test_one_of_many_who_take_one_pickup_at_once_has_it(real_database, settings, clock):
    now = clock.now()
    async with real_database.begin() as tx:
        land = await make_territory(tx, grids=3)
        # As many beside its holder as the pool has connections.
        people = [await land.add_technician(land.grids[0])]
        people += [await land.add_technician(None, home=land.grids[1]) for _ in range(20)]
        customer = await make_customer(tx, org_unit=land.org_unit)
        point = land.point_in(land.grids[0])
        await make_address(tx, customer, lon=point["lon"], lat=point["lat"])
        await make_terminal(tx, land.org_unit, customer_id=customer.id)
        account = await make_account(tx, land.org_unit)
        admin = caller_for(Role.ADMIN, land.org_unit, account_id=account.id)
        await request(
            tx,
            admin,
            source="crm",
            external_id="R-1",
            customer_code=customer.code,
            service_number=None,
            cause=DueCause.REMOVAL,
            named={},
            now=now,
        )
        callers = []
        for person in people[1:]:
            account = await make_account(
                tx, land.org_unit, role=Role.TECHNICIAN, technician_id=person.id
            )
            callers.append(
                caller_for(
                    Role.TECHNICIAN,
                    land.org_unit,
                    account_id=account.id,
                    technician_id=person.id,
                )
            )
    worker = Worker(settings, clock, real_database)
    await asyncio.gather(jobs.look_around(worker), jobs.look_around(worker))
    async with real_database.begin() as tx:
        recovery = (await tx.scalars(select(Recovery))).one()
        order = (await tx.scalars(select(WorkOrder))).one()
        order.planned_day = date(2026, 3, 2) + timedelta(days=1)

    async def want(caller):
        async with real_database.begin() as tx:
            return await take(tx, recovery.id, caller, now=now)

    ended = await asyncio.gather(*(want(caller) for caller in callers), return_exceptions=True)
    lost = [one for one in ended if isinstance(one, RecoveryTaken)]
    assert (len(ended), len(lost)) == (20, 19), ended
    async with real_database.read() as read:
        row = (await read.scalars(select(WorkOrder))).one()
        taken = (await read.scalars(select(Recovery))).one()
    assert row.holder_id == taken.taken_by_id
    assert row.holder_id in {person.id for person in people[1:]}
