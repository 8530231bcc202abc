"""Four months of real requests: 36,266 of Boston's, with the city's own precinct labels."""

import asyncio
import csv
import gzip
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.geo import CoordSys
from app.core.settings import Settings
from app.dispatch import command
from app.dispatch.models import SharedPoint
from app.grids.importing import Wanted, write_layer
from app.grids.layers import read_layer
from app.grids.models import Grid, GridMembership
from app.grids.rules import GridKind, MembershipKind
from app.technicians.models import TechnicianDay
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, UnplacedReason
from tests.conftest import ROOT
from tests.make.auth import make_org_unit
from tests.make.technicians import make_technician

STAND_IN = ("42.3594", "-71.0587")


@pytest.fixture
def boston(shared_dir) -> Path:
    """The folder of Boston's data; skips where it is missing."""
    folder = Path(shared_dir) / "data" / "geo" / "boston"
    if not folder.is_dir():
        pytest.skip("no Boston data in the folder `shared`")
    return folder


def label(cell: str) -> str:
    """Bring the city's ways of writing a precinct (502.0, 0502, 502) to the layer's."""
    digits = cell.removesuffix(".0").strip()
    return digits.zfill(4) if digits else ""


async def test_every_request_is_taken_in_and_lands_where_the_city_says(real_database, boston):
    requests = boston / "service_requests_2015_jan_apr.csv.gz"
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx, code="boston", time_zone="America/New_York")
        layer = read_layer(
            (boston / "precincts.geojson").read_bytes(),
            coordsys=CoordSys.WGS84,
            name_field="precinct",
            code_field=None,
        )
        await write_layer(
            tx,
            layer,
            Wanted(org_unit=unit, coordsys=CoordSys.WGS84, kind=GridKind.STREET),
            now=datetime(2015, 1, 1, tzinfo=UTC),
        )
        grids = (await tx.scalars(select(Grid))).all()
        assert len(grids) == 253
        for grid in grids:
            technician = await make_technician(tx, org_unit=unit, code=f"T-{grid.code}")
            tx.add(
                GridMembership(
                    grid_id=grid.id,
                    technician_id=technician.id,
                    kind=MembershipKind.PRIMARY,
                    valid_from=date(2015, 1, 1),
                )
            )
        await tx.flush()

    address = real_database.engine.url.render_as_string(hide_password=False)
    tally = await asyncio.to_thread(
        command.import_orders,
        Settings(database_url=address),
        requests,
        map_file=ROOT / "seed" / "maps" / "boston_311.yaml",
        source="boston-311",
        coordsys=None,
        org_unit_code="boston",
        url=None,
        token="",
        refused_file=None,
    )
    with gzip.open(requests, "rt", encoding="utf-8") as reading:
        rows = list(csv.DictReader(reading))

    # None is lost, and none is refused.
    assert sum(tally.verdicts.values()) == len(rows) == 36_266
    assert tally.verdicts.keys() == {"placed", "unplaced"}

    # Whoever had no usable location waits, and only they: those that came before the point gave
    # itself away were taken back.
    async with real_database.read() as read:
        shared = await read.scalars(
            select(WorkOrder.external_id).where(
                WorkOrder.state == State.UNPLACED,
                WorkOrder.unplaced_reason == UnplacedReason.SHARED_POINT,
            )
        )
        nowhere = {
            row["case_id"] for row in rows if (row["latitude"], row["longitude"]) == STAND_IN
        }
        assert set(shared) == nowhere
        assert len(nowhere) == 5_240
        assert await read.scalar(select(func.count()).select_from(SharedPoint)) == 1

        located: dict[str, str] = {
            row.external_id: row.name
            for row in await read.execute(
                select(WorkOrder.external_id, Grid.name).join(Grid, Grid.id == WorkOrder.grid_id)
            )
        }
    labelled = {
        row["case_id"]: label(row["precinct"])
        for row in rows
        if row["case_id"] not in nowhere and label(row["precinct"])
    }
    assert len(labelled) == 30_971
    right = sum(located.get(case) == precinct for case, precinct in labelled.items())
    assert right >= 29_850

    await _accounted_for(real_database, Counter(tally.verdicts))


async def _accounted_for(database: Any, verdicts: Counter[str]) -> None:
    """Each placed order has its minutes on one day, within the day; each order has its events."""
    async with database.read() as read:
        assigned = (
            await read.execute(
                select(func.count(), func.sum(WorkOrder.estimated_minutes)).where(
                    WorkOrder.state == State.ASSIGNED
                )
            )
        ).one()
        promised = (
            await read.execute(
                select(
                    func.sum(TechnicianDay.orders),
                    func.sum(TechnicianDay.committed_minutes),
                    func.max(TechnicianDay.committed_minutes + 15 * TechnicianDay.orders),
                )
            )
        ).one()
        assert assigned == promised[:2]
        assert assigned[0] == verdicts["placed"]
        assert promised[2] <= 480
        received = await read.scalar(
            select(func.count(func.distinct(WorkOrderEvent.work_order_id))).where(
                WorkOrderEvent.to_state == State.RECEIVED
            )
        )
        assert received == 36_266
