"""A history for tests: days on which technicians drove from door to door, told by their phones."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from geoalchemy2 import WKTElement
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.core.geo import distance_m
from app.grids.models import Grid
from app.technicians.models import Technician
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step
from app.worktypes.rules import WorkType
from tests.make.dispatch import SIDE, SOUTH, WEST

SHANGHAI = ZoneInfo("Asia/Shanghai")


class Door(NamedTuple):
    """Where a visit is, in WGS-84 degrees, and the grid it lies in."""

    lon: float
    lat: float
    grid: Grid


class Driven(NamedTuple):
    """A visit of a history: its order, its check-in's event, and what the way to it took."""

    order_id: UUID
    event_id: UUID
    seconds: int


@dataclass
class History:
    """Collects orders and events, and writes them in two statements."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    def visit(
        self,
        technician: Technician,
        door: Door,
        set_out: datetime,
        seconds: int,
        *,
        work: timedelta = timedelta(minutes=30),
        heard: timedelta = timedelta(0),
        clock: timedelta = timedelta(0),
        far: bool = False,
        ends: Step | None = Step.COMPLETE,
        visit_id: UUID | None = None,
    ) -> Driven:
        """Add a way and the visit at its end.

        `heard` is how much later the server heard of each step, `clock` how far the phone's clock
        is ahead; `ends` is the step that ends the visit (None: it is going on).
        """
        order_id, event_id = new_id(), new_id()
        arrived = set_out + timedelta(seconds=seconds)
        self.orders.append(
            {
                "id": order_id,
                "org_unit_id": technician.org_unit_id,
                "source": "test",
                "external_id": order_id.hex,
                "content_hash": "",
                "work_type": WorkType.REPAIR,
                "state": State.COMPLETED,
                "address": "碧波园3栋",
                "summary": "宽带断网",
                "estimated_minutes": 60,
                "reported_at": set_out,
                "received_at": set_out,
                "point": WKTElement(f"POINT({door.lon} {door.lat})", srid=4326),
                "grid_id": door.grid.id,
            }
        )
        steps = [
            (new_id(), set_out, Step.TRAVEL, State.ACKNOWLEDGED, State.EN_ROUTE),
            (event_id, arrived, Step.CHECK_IN, State.EN_ROUTE, State.ON_SITE),
        ]
        if ends is not None:
            then = State.COMPLETED if ends is Step.COMPLETE else State.LOCATED
            steps.append((new_id(), arrived + work, ends, State.ON_SITE, then))
        for each_id, at, step, before, then in steps:
            self.events.append(
                {
                    "id": each_id,
                    "work_order_id": order_id,
                    "at": at + heard,
                    "device_at": at + clock,
                    "technician_id": technician.id,
                    "step": step,
                    "from_state": before,
                    "to_state": then,
                    "facts": {"far": far, "visit_id": str(visit_id or new_id())},
                }
            )
        return Driven(order_id, event_id, seconds)

    def gave_back(self, technician: Technician, door: Door, set_out: datetime) -> None:
        """Add somebody who set out and gave the order back on the way."""
        self.visit(technician, door, set_out, 0, ends=None)
        self.events.pop()

    async def write(self, tx: AsyncSession) -> None:
        """Write what was collected; the events in the order in which they were told."""
        if self.orders:
            await tx.execute(insert(WorkOrder), self.orders)
            self.events.sort(key=lambda event: event["at"])
            await tx.execute(insert(WorkOrderEvent), self.events)
        self.orders.clear()
        self.events.clear()


def local(day: date, hour: int, minute: int = 0) -> datetime:
    """Make a moment of a local day."""
    return datetime.combine(day, time(hour, minute), SHANGHAI)


def door_in(grids: list[Grid], grid: Grid, east: float = 0.5, north: float = 0.5) -> Door:
    """A door in one of a territory's squares, at a share of its side from the corner."""
    west = WEST + SIDE * grids.index(grid)
    return Door(round(west + SIDE * east, 7), round(SOUTH + SIDE * north, 7), grid)


Pace = Callable[[Grid, Grid, int], float]


def drive_days(
    history: History,
    grids: list[Grid],
    people: list[Technician],
    days: list[date],
    pace: Pace,
    *,
    visits: int = 8,
    noise: float = 0.15,
    seed: int = 1,
) -> list[Driven]:
    """Let people drive between random doors; each way takes two minutes, and the true pace (in
    seconds a metre, of two grids at a local hour) times its length, give or take some noise."""
    dice = random.Random(seed)
    made = []
    for day in days:
        for technician in people:
            last: Door | None = None
            at = local(day, 8, dice.randrange(30))
            for _ in range(visits):
                grid = dice.choice(grids)
                door = door_in(grids, grid, dice.random(), dice.random())
                seconds = 600
                if last is not None:
                    metres = distance_m(last.lon, last.lat, door.lon, door.lat)
                    true = metres * pace(last.grid, door.grid, at.hour)
                    seconds = 120 + round(true * dice.lognormvariate(0, noise))
                made.append(history.visit(technician, door, at, seconds))
                at += timedelta(seconds=seconds) + timedelta(minutes=30 + dice.randrange(20))
                last = door
    return made
