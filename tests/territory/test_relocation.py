"""Addresses follow the map by a queue: whoever waits is located, once, and progress is told."""

from datetime import timedelta
from uuid import UUID

import pytest
import shapely
from sqlalchemy import func, select, text

from app.core.clock import wall
from app.core.db import new_id
from app.core.jobs import Worker, tell
from app.core.parameter_values import ParameterValue
from app.customers.models import AddressToLocate, ServiceAddress
from app.grids import boundaries
from app.grids.boundaries import Shape
from app.grids.layers.shapes import multipolygon
from app.grids.models import GridChange, GridListEntry
from app.grids.rules import ChangeKind, ListKind, district_of
from app.territory import jobs
from app.territory.models import AddressGrid
from app.territory.queries import relocation as queries
from app.territory.service import relocation
from app.workorders.rules import State
from tests.make.counting import counted
from tests.make.grids import SINCE
from tests.make.redraw import ACROSS, EAST, MIDDLE, NORTH, SIDE, SOUTH, WEST, command, part
from tests.make.workorders import make_work_order


@pytest.fixture
def worker(settings, clock, database, monkeypatch) -> Worker:
    """The worker's process, on the rolled-back database, which has one connection only."""
    monkeypatch.setattr(relocation, "LANES", 1)
    return Worker(settings, clock, database)


@pytest.fixture
async def batches_of_two(tx):
    """Two addresses are located at a time, and no more at once."""
    tx.add(ParameterValue(name="grids.relocation_batch", valid_from=SINCE, value=2))
    await tx.flush()


async def wait(land, *addresses):
    """Let addresses wait for their grids, as the loader does."""
    land.tx.add_all(AddressToLocate(service_address_id=one.id) for one in addresses)
    await land.tx.flush()


async def shift(land, clock, by=-SIDE / 2):
    """Move grid A, as an import would: with a change, and told to the worker."""
    change = GridChange(
        id=new_id(),
        org_unit_id=land.branch.id,
        kind=ChangeKind.IMPORT,
        at=clock.now(),
        reason="layer.geojson",
        grid_ids=[land.a.id],
        content_hash="",
        asked={},
        told={"reshaped": ["A"]},
        addresses=3,
    )
    land.tx.add(change)
    await land.tx.flush()
    shape = multipolygon(shapely.box(WEST + by, SOUTH, EAST + by, NORTH))
    await boundaries.reshape(
        land.tx,
        {land.a.id: Shape(shape, 1.0)},
        source="import",
        now=clock.now(),
        change_id=change.id,
    )
    await tell(land.tx, "map.changed", change_id=change.id)
    return change


# --- new addresses --------------------------------------------------------------------------------


async def test_addresses_that_wait_are_located_batch_by_batch(land, worker, batches_of_two):
    addresses = [await land.address(WEST + SIDE * (n - 1) / 4) for n in range(7)]
    nowhere = await land.address(0, point=None)
    await wait(land, *addresses, nowhere)
    await jobs.addresses_loaded(worker)
    codes = [await land.grid_of(one) for one in addresses]
    assert codes == [None, "A", "A", "A", "A", "A", "B"]  # a common border is A's
    assert await land.grid_of(nowhere) is None
    assert await land.queued() == 0


async def test_what_lies_where_it_did_is_not_written_again(land, worker):
    address = await land.address(MIDDLE)
    await wait(land, address)
    await jobs.addresses_loaded(worker)
    before = await land.tx.scalar(text("SELECT ctid::text FROM address_grid"))
    await wait(land, address)
    await jobs.follow_left(worker)
    assert await land.tx.scalar(text("SELECT ctid::text FROM address_grid")) == before
    assert await land.queued() == 0


async def test_a_list_wins_over_the_polygon(land, worker):
    land.tx.add(
        GridListEntry(
            grid_id=land.b.id,
            kind=ListKind.BUILDING,
            district_path=district_of(land.branch.path),
            name="碧波园",
            building="3栋",
            valid_from=SINCE,
        )
    )
    await land.tx.flush()
    third, fourth = await land.address(MIDDLE), await land.address(MIDDLE, building="4栋")
    await wait(land, third, fourth)
    await jobs.addresses_loaded(worker)
    row = (
        await land.tx.execute(select(AddressGrid).where(AddressGrid.service_address_id == third.id))
    ).scalar_one()
    assert (row.grid_id, row.drawn_grid_id, row.listed) == (land.b.id, land.a.id, True)
    assert await land.grid_of(fourth) == "A"


async def test_looking_whether_anybody_waits_costs_little(land, worker, database):
    await jobs.follow_left(worker)
    with counted(database) as statements:
        await jobs.follow_left(worker)
    assert len(statements) == 2


# --- changes made elsewhere -----------------------------------------------------------------------


async def test_addresses_and_orders_follow_an_import(land, worker, clock, batches_of_two):
    addresses = [await land.address(WEST + share * SIDE) for share in (-0.3, 0.3, 0.8)]
    await wait(land, *addresses)
    await jobs.addresses_loaded(worker)
    assert [await land.grid_of(one) for one in addresses] == [None, "A", "A"]
    order = await make_work_order(
        land.tx,
        now=clock.now(),
        org_unit=land.branch,
        point=(WEST + 0.8 * SIDE, SOUTH + 0.005),
        grid_id=land.a.id,
        state=State.LOCATED,
    )
    change = await shift(land, clock)
    progress = (await land.supervisor.read(f"/grid-changes/{change.id}"))["relocation"]
    assert progress == {
        "state": "waiting",
        "addresses": 3,
        "done": 0,
        "left": 3,
        "per_second": None,
    }
    for _ in range(2):  # a job may be run twice
        await jobs.map_changed(worker, change_id=str(change.id))
        assert [await land.grid_of(one) for one in addresses] == ["A", "A", None]
    await land.tx.refresh(order)
    assert order.grid_id is None
    detail = await land.supervisor.read(f"/grid-changes/{change.id}")
    assert detail["told"] == {"reshaped": ["A"]}
    progress = detail["relocation"]
    assert (progress["state"], progress["done"], progress["left"]) == ("done", 3, 0)
    assert progress["per_second"] > 0


async def test_a_change_with_more_than_a_batch_is_followed_by_the_worker(
    land, worker, batches_of_two
):
    addresses = [await land.address(WEST + SIDE * n / 7) for n in range(1, 7)]
    await wait(land, *addresses)
    await jobs.addresses_loaded(worker)
    body = command("split", land.a, line=ACROSS, keep=[WEST, SOUTH], parts=[part("A2")])
    made = await land.supervisor.make(body)
    assert made["relocation"]["state"] == "waiting"
    assert made["told"]["addresses"] == {"affected": 6, "change_grid": 3, "without_grid": 0}
    assert {await land.grid_of(one) for one in addresses} == {"A"}
    told = "SELECT args ->> 'change_id' FROM procrastinate_jobs WHERE task_name = 'map.changed'"
    assert list(await land.tx.scalars(text(told))) == [made["id"]]
    assert await queries.queue_for(land.tx, UUID(made["id"]), near_m=15) == 6
    await queries.begin(land.tx, UUID(made["id"]), 6, at=wall())
    await relocation.locate_batch(land.tx, after=relocation.FIRST, now=worker.clock.now())
    progress = (await land.supervisor.read(f"/grid-changes/{made['id']}"))["relocation"]
    assert (progress["state"], progress["done"], progress["left"]) == ("running", 2, 4)
    await jobs.map_changed(worker, change_id=made["id"])
    assert [await land.grid_of(one) for one in addresses] == ["A", "A", "A", "A2", "A2", "A2"]


async def test_a_change_that_concerns_no_address_is_done_too(land, worker, clock):
    change = await shift(land, clock)
    await jobs.map_changed(worker, change_id=str(change.id))
    progress = (await land.supervisor.read(f"/grid-changes/{change.id}"))["relocation"]
    assert (progress["state"], progress["addresses"]) == ("done", 0)


async def test_a_change_whose_job_was_lost_is_followed_all_the_same(land, worker, clock):
    address = await land.address(EAST - 0.001)
    change = await shift(land, clock)
    await jobs.follow_left(worker)
    assert await land.grid_of(address) == "?"  # the job may yet come
    past = timedelta(seconds=jobs.PATIENCE + 1)
    await land.tx.execute(text("ALTER TABLE grid_change DISABLE TRIGGER append_only"))
    await land.tx.execute(
        text("UPDATE grid_change SET created_at = created_at - :past"), {"past": past}
    )
    await jobs.follow_left(worker)
    assert await land.grid_of(address) is None
    assert await queries.not_begun(land.tx) == []
    assert change.id is not None


@pytest.mark.parametrize(
    ("kind", "name", "building"),
    [
        (ListKind.COMPOUND, "碧波园", ""),
        (ListKind.BUILDING, "碧波园", "3栋"),
        (ListKind.PREFIX, "澄湖市南浦区碧波路18号", ""),
    ],
)
async def test_a_change_of_a_list_queues_whom_it_names_wherever_they_live(
    land, clock, kind, name, building
):
    far = await land.address(WEST + 0.5, building="3 栋", locality="碧波 园")
    await land.address(WEST + 0.5, locality="湖畔里", standard_address="湖畔路1号")
    await land.tx.execute(text("DELETE FROM address_to_locate"))
    change = await shift(land, clock, by=0)
    land.tx.add(
        GridListEntry(
            grid_id=land.a.id,
            kind=kind,
            district_path=district_of(land.branch.path),
            name=name,
            building=building,
            valid_from=clock.now(),
            change_id=change.id,
        )
    )
    await land.tx.flush()
    assert await queries.queue_for(land.tx, change.id, near_m=15) == 1
    assert list(await land.tx.scalars(select(AddressToLocate.service_address_id))) == [far.id]


# --- indexes --------------------------------------------------------------------------------------


async def plan_of(tx, statement, **given):
    """How PostgreSQL runs a statement on large tables, where going through all is no option."""
    await tx.execute(text("SET LOCAL enable_seqscan = off"))
    rows = await tx.execute(text(f"EXPLAIN {statement.text}"), given)
    return "\n".join(row[0] for row in rows)


@pytest.mark.unused_database
async def test_what_a_change_concerns_is_found_along_indexes(land, clock):
    change = await shift(land, clock)
    plan = await plan_of(land.tx, queries._QUEUE, change_id=change.id, near_m=15.0)
    for index in (
        "ix_service_address_point",
        "ix_address_grid_grid",
        "ix_service_address_compound",
        "ix_service_address_standard",
    ):
        assert index in plan, plan
    assert "Seq Scan on service_address" not in plan


@pytest.mark.unused_database
async def test_a_batch_is_taken_along_the_keys(land):
    for statement in (queries._TAKE_POINTS, queries._TAKE_ALL):
        plan = await plan_of(land.tx, statement, after=relocation.FIRST, size=20_000)
        assert "pk_address_to_locate" in plan
        assert "Seq Scan" not in plan


@pytest.mark.unused_database
async def test_the_addresses_around_shapes_are_found_along_the_index(land):
    given = {"wkbs": [shapely.to_wkb(shapely.box(0, 0, 1, 1))], "grid_ids": [], "near_m": 15.0}
    plan = await plan_of(land.tx, queries._AROUND, **given)
    assert "ix_service_address_point" in plan
    assert await land.tx.scalar(select(func.count(ServiceAddress.id))) == 0
