"""The branch of a simulated week: square grids in a row, a primary and a backup for each."""

from datetime import timedelta
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.parameter_values import ParameterValue
from app.grids.rules import MembershipKind
from app.planning.rules import ITERATIONS, POLICY
from benchmarks.week.simulation import Branch, Person, ring
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import SIDE, SOUTH, WEST, make_territory
from tests.make.slots import make_slots
from tests.make.workorders import make_promise

ZONE = ZoneInfo("Asia/Shanghai")


async def make_branch(
    tx: AsyncSession, app: FastAPI, clock: FixedClock, *, technicians: int
) -> Branch:
    """Add a branch with so many technicians, each at home in a grid of their own."""
    land = await make_territory(tx, grids=technicians)
    people = []
    for number, grid in enumerate(land.grids):
        lon, lat = WEST + SIDE * (number + 0.5), SOUTH + SIDE / 2
        home = WKTElement(f"POINT({lon} {lat})", srid=4326)
        made = await land.add_technician(
            grid, home_point=home, daily_minutes=480, code=f"T{number:03d}"
        )
        account = await make_account(tx, land.org_unit, role=Role.TECHNICIAN, technician_id=made.id)
        caller = caller_for(
            Role.TECHNICIAN, land.org_unit, account_id=account.id, technician_id=made.id
        )
        people.append(Person(str(made.id), made.code, bearer(app, caller)))
    for number, grid in enumerate(land.grids):
        backup = land.people[(number + 1) % technicians]
        await land.give(grid, backup, MembershipKind.BACKUP)
    await make_slots(tx)
    await make_promise(tx)
    # The rest of a day in which something has happened is planned anew, and in force at once.
    since = clock.now() - timedelta(days=1)
    for parameter, value in ((POLICY, 1), (ITERATIONS, 1_000)):
        tx.add(ParameterValue(name=parameter.name, org_path="", valid_from=since, value=value))
    await tx.flush()
    accounts = {
        role: await make_account(tx, land.org_unit, role=role)
        for role in (Role.SUPERVISOR, Role.INTEGRATION)
    }
    supervisor, system = (
        bearer(app, caller_for(role, land.org_unit, account_id=account.id))
        for role, account in accounts.items()
    )
    return Branch(
        headers=supervisor,
        system=system,
        people=people,
        places=ring(WEST, SOUTH, SIDE * technicians, SIDE, 40 * technicians),
        first=clock.now().astimezone(ZONE).date(),
        zone=ZONE,
    )
