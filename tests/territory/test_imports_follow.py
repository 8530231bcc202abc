"""After an import: open orders and addresses on the ground that changed are located anew."""

from sqlalchemy import select, text

from app.core.jobs import Worker
from app.territory import jobs
from app.territory.models import AddressGrid
from app.workorders.rules import State
from tests.grids.geojson import layer, square
from tests.grids.test_import import coded
from tests.make.customers import make_address, make_customer
from tests.make.workorders import make_work_order

HERE = (116.405, 39.905)


async def test_orders_and_addresses_follow_what_an_import_did(
    tx, branch, import_layer, settings, clock, database
):
    worker = Worker(settings, clock, database)
    customer = await make_customer(tx, org_unit=branch)
    address = await make_address(tx, customer, lon=HERE[0], lat=HERE[1])
    order = await make_work_order(
        tx, now=clock.now(), org_unit=branch, point=HERE, state=State.UNPLACED,
        unplaced_reason="no_grid",
    )  # fmt: skip

    async def brought(*rows, **parameters):
        answer = await import_layer(layer(*rows), code_field="code", **parameters)
        assert answer.status_code == 200, answer.text
        told = text("SELECT args FROM procrastinate_jobs WHERE task_name = 'map.changed'")
        for args in (await tx.scalars(told)).all():
            await jobs.map_changed(worker, **args)
        codes = {row.id: row.code for row in await tx.execute(text("SELECT id, code FROM grid"))}
        found = await tx.scalar(
            select(AddressGrid.grid_id).where(AddressGrid.service_address_id == address.id)
        )
        freed = text("SELECT args ->> 'order_id' FROM procrastinate_jobs WHERE task_name = :event")
        orders = list(await tx.scalars(freed, {"event": "workorder.freed"}))
        await tx.execute(text("DELETE FROM procrastinate_jobs"))
        return codes.get(found), orders

    first, beside = coded("A1", "甲"), coded("A2", "乙", square(lon=116.41))
    assert await brought(first, beside) == ("A1", [str(order.id)])
    over = coded("A2", "乙", square(lon=116.402))
    assert (await brought(over, mode="replace"))[0] == "A2"
    assert (await brought(beside, mode="replace"))[0] is None
