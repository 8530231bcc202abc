"""The install of a sale that has ended is called off, unless somebody is at it already."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.alerts.models import Alert
from app.alerts.rules import AlertKind
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.feasibility.models import ReservedTerminal, SameVisitInstall
from app.feasibility.rules import CallOff
from app.ordering import jobs as ordering_jobs
from app.ordering import queries as ordering
from app.ordering.models import OrderChange
from app.sales import jobs, queries
from app.sales import service as sales
from app.sales.models import Sale
from app.sales.rules import ReversalReason, SaleState, why_called_off
from app.technicians import availability
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for
from tests.make.feasibility import make_install_door
from tests.make.races import until_waiting
from tests.make.sales import jobs_of
from tests.make.visits import TODAY, taken


@pytest.mark.parametrize(
    ("state", "reversed_", "left", "why"),
    [
        ("acknowledged", False, True, None),
        ("completed", False, True, None),
        # It is not decided yet whether it ends.
        ("cancelling", False, True, None),
        ("cancelled", False, True, CallOff.SALE_CANCELLED),
        ("cancelled", True, True, CallOff.SALE_CANCELLED),
        ("rejected", True, True, CallOff.SALE_REJECTED),
        ("acknowledged", True, True, CallOff.SALE_REVERSED),
        ("cancelling", True, True, CallOff.SALE_REVERSED),
        # What came back was all that had to be installed.
        ("acknowledged", False, False, CallOff.ITEMS_REVERSED),
        ("completed", False, False, CallOff.ITEMS_REVERSED),
        ("acknowledged", True, False, CallOff.SALE_REVERSED),
        ("cancelled", False, False, CallOff.SALE_CANCELLED),
    ],
)
def test_what_ends_an_install(state, reversed_, left, why):
    assert why_called_off(SaleState(state), reversed_=reversed_, left=left) is why


@pytest.fixture
def worker(settings, clock, database):
    return Worker(settings, clock, database)


async def returned(tx, door, clock, sale):
    """Let the customer bring a sale back that was acknowledged."""
    sale_id = UUID(sale["id"])
    await sales.follow(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    await sales.reverse(
        tx,
        sale_id=sale_id,
        external_id="RET-1",
        reason=ReversalReason.CHANGED_MIND,
        returned_at=clock.now(),
        caller=caller_for(Role.SUPERVISOR, door.branch),
        now=clock.now(),
    )
    await tx.flush()


async def rejected(tx, door, clock, sale):
    """Let the ordering system turn a sale down."""
    news = {UUID(sale["id"]): sales.News(SaleState.REJECTED, "no port")}
    await sales.follow_many(tx, news, at=clock.now())


@pytest.mark.parametrize(
    ("end", "why"), [(returned, CallOff.SALE_REVERSED), (rejected, CallOff.SALE_REJECTED)]
)
async def test_an_install_that_nobody_has_begun_is_called_off_with_its_sale(
    door, tx, app, http, clock, worker, end, why
):
    before = await availability.promised(tx, door.phone.technician.id, TODAY)
    sale = await door.sell("SPEED-2000")
    await jobs.call_off_installs(worker)
    install = await tx.get_one(WorkOrder, sale["install_order_id"], populate_existing=True)
    assert install.state is State.ACKNOWLEDGED
    await end(tx, door, clock, sale)
    for _ in range(2):
        await jobs.call_off_installs(worker)
    install = await tx.get_one(WorkOrder, sale["install_order_id"], populate_existing=True)
    assert install.state is State.CANCELLED
    step = select(WorkOrderEvent.reason).where(
        WorkOrderEvent.work_order_id == install.id, WorkOrderEvent.to_state == State.CANCELLED
    )
    assert (await tx.scalars(step)).all() == [why]
    # Its minutes and its gateway are free again, and the two hours do not count it.
    assert await availability.promised(tx, door.phone.technician.id, TODAY) == before
    assert await tx.scalar(select(ReservedTerminal.ended_at)) == clock.now()
    assert await tx.scalar(select(SameVisitInstall.gone_at)) == clock.now()
    boss = bearer(app, caller_for(Role.SUPERVISOR, door.branch))
    days = {"first_day": TODAY.isoformat(), "last_day": TODAY.isoformat()}
    said = (await http.get("/v1/figures/two-hour-activation", params=days, headers=boss)).json()
    assert (said["denominator"], said["exclusions"]["cancelled"]) == (0, 1)
    # Nobody else is to install it either.
    await ordering.begin_delivery(tx, UUID(sale["id"]))
    await tx.execute(text("UPDATE order_sync SET state = 'delivered', attempts = 1"))
    await ordering_jobs.install_called_off(worker, sale_id=sale["id"])
    assert await tx.scalar(select(OrderChange.id)) is None


@pytest.mark.parametrize("called_off", [False, True])
async def test_an_order_that_had_not_ended_after_all_keeps_its_install_or_is_told_it_has_none(
    door, tx, clock, worker, called_off
):
    sale = await door.sell("SPEED-2000")
    sale_id = UUID(sale["id"])
    for state in (SaleState.ACKNOWLEDGED, SaleState.CANCELLED):
        await sales.follow(tx, sale_id=sale_id, state=state, at=clock.now())
    await tx.flush()
    if called_off:
        await jobs.call_off_installs(worker)
    await sales.set_right(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    await tx.flush()
    await jobs.call_off_installs(worker)
    install = await tx.get_one(WorkOrder, sale["install_order_id"], populate_existing=True)
    assert install.state is (State.CANCELLED if called_off else State.ACKNOWLEDGED)
    told = await jobs_of(tx, "install.called_off")
    assert told == ([str(sale_id)] * 2 if called_off else [])
    await ordering.begin_delivery(tx, sale_id)
    await tx.execute(text("UPDATE order_sync SET state = 'delivered', attempts = 1"))
    for sale_told in told[1:]:
        await ordering_jobs.install_called_off(worker, sale_id=sale_told)
    kinds = (await tx.scalars(select(OrderChange.kind))).all()
    assert kinds == (["amend"] if called_off else [])


async def item_returned(tx, door, clock, sale, code):
    """Let the customer bring one thing of a sale back, which stands otherwise."""
    items = (await queries.items_of(tx, [UUID(sale["id"])]))[UUID(sale["id"])]
    await sales.reverse_item(
        tx,
        sale_id=UUID(sale["id"]),
        item_id=next(each.id for each in items if each.offering_code == code),
        external_id=f"RET-{code}",
        reason=ReversalReason.CHANGED_MIND,
        returned_at=clock.now(),
        caller=caller_for(Role.SUPERVISOR, door.branch),
        now=clock.now(),
    )
    await tx.flush()


@pytest.mark.parametrize(
    ("sold", "back", "state"),
    [
        # Nothing that stands has to be installed.
        (("SPEED-2000", "TV-4K"), ("SPEED-2000",), State.CANCELLED),
        (("SPEED-2000", "WIFI-CHECK", "TV-4K"), ("SPEED-2000", "WIFI-CHECK"), State.CANCELLED),
        # What came back needed nobody, or something else needs them still.
        (("SPEED-2000", "TV-4K"), ("TV-4K",), State.ACKNOWLEDGED),
        (("SPEED-2000", "WIFI-CHECK"), ("SPEED-2000",), State.ACKNOWLEDGED),
        (("SPEED-2000", "WIFI-CHECK"), ("WIFI-CHECK",), State.ACKNOWLEDGED),
    ],
)
async def test_an_install_is_called_off_when_all_came_back_that_had_to_be_installed(
    door, tx, clock, worker, sold, back, state
):
    sale = await door.sell(*sold)
    sale_id = UUID(sale["id"])
    await sales.follow(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    for code in back:
        await item_returned(tx, door, clock, sale, code)
    for _ in range(2):
        await jobs.call_off_installs(worker)
    install = await tx.get_one(WorkOrder, sale["install_order_id"], populate_existing=True)
    assert install.state is state
    # The rest of the sale stands, and nobody else is sent for what came back.
    assert await tx.scalar(select(Sale.reversed_at)) is None
    await ordering.begin_delivery(tx, sale_id)
    await tx.execute(text("UPDATE order_sync SET state = 'delivered', attempts = 1"))
    told = await jobs_of(tx, "install.called_off")
    assert told == ([sale["id"]] if state is State.CANCELLED else [])
    for sale_told in told:
        await ordering_jobs.install_called_off(worker, sale_id=sale_told)
    assert await tx.scalar(select(OrderChange.id)) is None


async def test_an_install_under_way_is_left_to_the_technician_and_shown(door, tx, clock, worker):
    sale = await door.sell("SPEED-2000")
    await door.phone.complete(door.visit_id)
    visit = {"id": str(new_id()), "work_order_id": sale["install_order_id"]}
    taken(await door.phone.post("/visits", **visit))
    await returned(tx, door, clock, sale)
    await jobs.call_off_installs(worker)
    install = await tx.get_one(WorkOrder, sale["install_order_id"], populate_existing=True)
    assert install.state is State.EN_ROUTE
    alerts = select(Alert.figure).where(
        Alert.kind == AlertKind.INSTALLS_LEFT, Alert.ended_at.is_(None)
    )
    await jobs.alert(worker)
    assert (await tx.scalars(alerts)).all() == [1]
    # Handed back it is nobody's any more, and the alert is over.
    taken(await door.phone.post(f"/visits/{visit['id']}/hand-back", cause="customer_refused"))
    await jobs.call_off_installs(worker)
    await jobs.alert(worker)
    assert (await tx.scalars(alerts)).all() == []
    assert await tx.scalar(select(Sale.reversed_at)) == clock.now()


async def test_setting_out_meets_a_call_off(real_database, real_app, real_http, clock):
    """Whoever sets out as the install is called off is told so, and stays free for other work."""
    async with real_database.begin() as tx:
        door = await make_install_door(tx, real_app, real_http, clock)
    await door.arrive()
    sale = await door.sell("SPEED-2000")
    await door.phone.complete(door.visit_id)
    sale_id, order_id = UUID(sale["id"]), UUID(sale["install_order_id"])
    async with real_database.begin() as tx:
        await returned(tx, door, clock, sale)
    async with real_database.begin() as tx:
        await sales.call_off_install(tx, sale_id, order_id, now=clock.now())
        visit = {"id": str(new_id()), "work_order_id": str(order_id)}
        going = asyncio.create_task(door.phone.post("/visits", **visit))
        await until_waiting(real_database)
    answer = await going
    assert answer.status_code in (404, 409), answer.text
    async with real_database.read() as read:
        assert (await read.get_one(WorkOrder, order_id)).state is State.CANCELLED
        gone = (await read.execute(select(ReservedTerminal.ended_at))).scalars().all()
        assert gone == [clock.now()]
