"""Many at once, on real connections: the last contact slot, one answer sent by two phones."""

import asyncio
from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import Database, new_id
from app.core.errors import Unavailable
from app.customers import service as customers
from app.customers.models import Interaction
from app.customers.rules import Channel
from app.suggestions.models import (
    ContactSlot,
    Suggestion,
    SuggestionAnswer,
    SuggestionDecision,
)
from app.suggestions.rules import AnswerKind
from app.suggestions.rules.answering import Said
from app.suggestions.rules.contacts import ContactRefused
from app.suggestions.service import Decided, Door, reserve, suggest, take_down
from app.sync.queries import pushing
from app.visits.models import Visit
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.worktypes.rules import WorkType
from tests.make.auth import caller_for, make_account, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_contact, make_customer, make_subscription
from tests.make.races import until_waiting
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order

AT_ONCE = 50


@pytest.fixture
async def doors(real_database: Database, clock) -> list[Door]:
    """Fifty visits to one customer, who may be contacted once more this month."""
    now = clock.now()
    async with real_database.begin() as tx:
        branch = await make_org_unit(tx)
        customer = await make_customer(tx, org_unit=branch)
        await make_address(tx, customer)
        await make_subscription(tx, customer)
        for days in (10, 20):
            await make_contact(tx, customer, at=now - timedelta(days=days))
        for code in ("FTTR-2", "TV-4K"):
            await make_offering(
                tx, code=code, category=code, margin_12m_fen=40_000, expert_rate=0.2
            )
        made = []
        for _ in range(AT_ONCE):
            technician = await make_technician(tx, org_unit=branch)
            order = await make_assigned_order(
                tx, technician, customer, now=now, work_type=WorkType.CARE
            )
            visit = Visit(
                id=new_id(),
                work_order_id=order.id,
                technician_id=technician.id,
                travel_started_at=now,
            )
            tx.add(visit)
            made.append(
                Door(
                    visit_id=visit.id,
                    work_order_id=order.id,
                    customer_id=customer.id,
                    technician_id=technician.id,
                    began_at=now,
                    work_type="care",
                    reported_at=now,
                    restored=False,
                    order_pending=False,
                    other_repairs_at=(),
                    org_path=branch.path,
                    zone=ZoneInfo("Asia/Shanghai"),
                )
            )
        return made


async def asked(database: Database, door: Door, now) -> Decided:
    """Ask, and ask again when there were too many at once for the pool, as a phone does."""
    while True:
        try:
            async with database.begin() as tx:
                return await suggest(tx, door, now)
        except Unavailable:
            await asyncio.sleep(0.1)


def offers(decided: Decided) -> list[Suggestion]:
    return [one for one in decided.candidates if one.rank is not None]


async def test_of_fifty_at_once_one_gets_the_last_contact(real_database, doors, clock):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asked(real_database, door, clock.now())) for door in doors]
    decisions = [task.result() for task in tasks]
    winners = [one for one in decisions if offers(one)]
    assert len(winners) == 1
    losers = {one.decision.held_back for one in decisions if one not in winners}
    assert losers == {"slot_taken"}
    # The winner pitches; with that the month is full, whoever asks.
    technician = winners[0].decision.technician_id
    said = Said(new_id(), AnswerKind.ACCEPTED, clock.now())
    async with real_database.begin() as tx:
        await take_down(
            tx, offers(winners[0])[0].id, said, technician_id=technician, now=clock.now()
        )
    again = await asked(real_database, doors[-1], clock.now())
    assert again.decision.held_back == "contacts_month"
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(Interaction)) == 3
        assert await read.scalar(select(func.count()).select_from(ContactSlot)) == 0


async def test_one_visit_asked_by_many_is_decided_once(real_database, doors, clock):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(asked(real_database, doors[0], clock.now())) for _ in range(10)]
    assert len({task.result().decision.id for task in tasks}) == 1
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(SuggestionDecision)) == 1
        assert await read.scalar(select(func.count()).select_from(Suggestion)) == 2


async def test_an_answer_sent_by_many_is_taken_down_once(real_database, doors, clock):
    door = doors[0]
    shown = offers(await asked(real_database, door, clock.now()))
    said = Said(new_id(), AnswerKind.ACCEPTED, clock.now())

    async def send() -> UUID:
        async with real_database.begin() as tx:
            answer = await take_down(
                tx, shown[0].id, said, technician_id=door.technician_id, now=clock.now()
            )
            return answer.id

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(send()) for _ in range(10)]
    assert {task.result() for task in tasks} == {said.id}
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(SuggestionAnswer)) == 1
        assert await read.scalar(select(func.count()).select_from(Interaction)) == 3


async def test_who_asks_not_to_be_disturbed_is_heard_by_whoever_decides_next(
    real_database, doors, clock
):
    """The switch and a decision meet on the customer's row: one waits, and then sees the other."""
    door = doors[0]
    async with real_database.read() as read:
        branch = (await read.scalars(select(OrgUnit))).one()
    supervisor = caller_for(Role.SUPERVISOR, branch)
    async with real_database.begin() as tx:
        await customers.set_do_not_disturb(
            tx, customer_id=door.customer_id, on=True, caller=supervisor, now=clock.now()
        )
        task = asyncio.create_task(asked(real_database, door, clock.now()))
        await until_waiting(real_database)
        assert not task.done()
    assert (await task).decision.held_back == "do_not_disturb"


async def test_a_visit_and_other_channels_never_both_take_the_last_slot(
    real_database, doors, clock
):
    door = doors[0]
    async with real_database.begin() as tx:
        branch = (await tx.scalars(select(OrgUnit))).one()
        account = await make_account(tx, branch, role=Role.INTEGRATION)
    system = caller_for(Role.INTEGRATION, branch, account_id=account.id)

    async def reserved() -> bool:
        try:
            async with real_database.begin() as tx:
                await reserve(
                    tx,
                    new_id(),
                    door.customer_id,
                    system,
                    channel=Channel.SHOP,
                    subject="SPRING",
                    now=clock.now(),
                )
        except ContactRefused as refused:
            return bool(refused.facts["reason"] != "slot_taken")
        except Unavailable:
            await asyncio.sleep(0.1)
            return await reserved()
        return True

    async def offered(door: Door) -> bool:
        return bool(offers(await asked(real_database, door, clock.now())))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(offered(door)) for door in doors[:12]]
        tasks += [group.create_task(reserved()) for _ in range(12)]
    assert sum(task.result() for task in tasks) == 1
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(ContactSlot)) == 1


async def held_by(tx, door: Door) -> WorkOrder:
    return await workorders.held_for_change(tx, door.work_order_id, door.technician_id)


async def locked_with_a_push(tx, door: Door) -> None:
    await pushing.lock_orders(tx, door.technician_id, [door.work_order_id])


@pytest.mark.parametrize("step", [held_by, locked_with_a_push])
async def test_offers_are_decided_while_a_step_of_their_order_goes_on(
    real_database, doors, clock, step
):
    """Who decides holds the customers and refers to the order, and a step that holds the order
    may wait for the customers: one of the two had to be undone."""
    async with real_database.begin() as tx:
        await step(tx, doors[0])
        async with asyncio.timeout(10):
            decided = await asked(real_database, doors[0], clock.now())
    assert offers(decided)
