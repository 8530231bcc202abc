"""A branch in the middle of its day, for tests: people in a row of grids, with orders to do."""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.technicians import availability
from app.technicians.models import Leave, Technician
from app.technicians.rules import LeaveCause
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.conftest import SHANGHAI
from tests.make.auth import make_org_unit
from tests.make.dispatch import SIDE, SOUTH, WEST, Territory
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


def at(hour: int, minute: int = 0) -> datetime:
    """A local moment of the day of the tests."""
    return datetime.combine(TODAY, time(hour, minute), SHANGHAI)


class Branch:
    """A branch of a district; grid n is looked after by person n, who lives in its middle."""

    def __init__(self, tx: AsyncSession, territory: Territory) -> None:
        self.tx = tx
        self.territory = territory
        self.orders: list[WorkOrder] = []

    @property
    def unit(self) -> OrgUnit:
        """The branch."""
        return self.territory.org_unit

    @property
    def people(self) -> list[Technician]:
        """Its people, from west to east."""
        return self.territory.people

    def point(self, east: float) -> tuple[float, float]:
        """A point in the middle of the row, so many grids from its western end."""
        return round(WEST + SIDE * east, 7), round(SOUTH + SIDE / 2, 7)

    async def add_person(self, **fields: Any) -> Technician:
        """Add the next grid to the east, and somebody who looks after it."""
        grid = await self.territory.add_grid()
        lon, lat = self.point(len(self.territory.grids) - 0.5)
        home = WKTElement(f"POINT({lon} {lat})", srid=4326)
        return await self.territory.add_technician(grid, home_point=home, **fields)

    async def add_order(
        self, east: float, person: int | None = None, *, now: datetime, **fields: Any
    ) -> WorkOrder:
        """Add an order at a point of the row, assigned to somebody today if so wished."""
        grid = self.territory.grids[int(east)]
        given: dict[str, Any] = {"state": State.LOCATED, "grid_id": grid.id, **fields}
        order = await make_work_order(
            self.tx, now=now, org_unit=self.unit, point=self.point(east), **given
        )
        self.orders.append(order)
        if person is not None:
            await take_step(
                self.tx,
                order,
                Step.ASSIGN,
                now=now,
                holder_id=self.people[person].id,
                planned_day=TODAY,
            )
        return order

    async def give(self, person: int, count: int, *, now: datetime, **fields: Any) -> list[Any]:
        """Give somebody so many orders in their own grid, and write their route down."""
        shares = [(number + 1) / (count + 1) for number in range(count)]
        given = [
            await self.add_order(person + share, person, now=now, **fields) for share in shares
        ]
        await self.route(person, given)
        return given

    async def route(self, person: int, orders: Sequence[WorkOrder]) -> None:
        """Write down in which order somebody is to do their orders."""
        key = (self.people[person].id, TODAY)
        await availability.write_routes(self.tx, {key: [order.id for order in orders]})

    async def begin(self, order: WorkOrder, *, since: datetime) -> None:
        """Let an order's holder stand at the door since a moment."""
        for step, minutes in ((Step.ACKNOWLEDGE, 20), (Step.TRAVEL, 10), (Step.CHECK_IN, 0)):
            when = since - timedelta(minutes=minutes)
            await take_step(self.tx, order, step, now=when, technician_id=order.holder_id)

    async def leave(self, person: int, begins: datetime, ends: datetime) -> Leave:
        """Let somebody be ill for a time."""
        leave = Leave(
            id=new_id(),
            technician_id=self.people[person].id,
            starts_at=begins,
            ends_at=ends,
            cause=LeaveCause.ILLNESS,
        )
        self.tx.add(leave)
        await self.tx.flush()
        return leave


async def make_branch(tx: AsyncSession, *, people: int = 6, **fields: Any) -> Branch:
    """Add a branch with so many people in a row of grids of about a kilometre."""
    unit = await make_org_unit(tx)
    for _ in range(3):
        unit = await make_org_unit(tx, parent=unit)
    branch = Branch(tx, Territory(tx, unit))
    for _ in range(people):
        await branch.add_person(**fields)
    return branch
