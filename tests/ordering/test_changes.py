"""A sale's order is cancelled or amended: asked for, told, decided there, written down here."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import NotFound, SameIdOtherContent
from app.ordering import jobs, queries, service
from app.ordering.client.reading import read_event
from app.ordering.delivery import ChangeKind, ChangeState, SyncState
from app.ordering.models import OrderChange
from app.ordering.order import Amendment
from app.ordering.service import ChangeUnderWay, NothingToChange
from app.reconciliation import queries as reconciliation
from app.reconciliation.rules import DifferenceKind, compare
from app.reconciliation.service.reading import theirs_of
from app.sales import queries as sales_queries
from app.sales import service as sales
from app.sales.models import SaleEvent
from app.sales.rules import Line, ReversalReason, SaleRefused, SaleState, SaleStep
from tests.make.auth import caller_for, make_org_unit
from tests.make.sales import jobs_of
from tests.ordering.conftest import QUICK
from tests.ordering.delivering import event, finish
from tests.ordering.waiting import until

SLOW = {**QUICK, "seconds_to_complete": 60, "seconds_to_cancel": 0.1}
# An order that is looked at from both sides does not move on in between.
STILL = {**SLOW, "seconds_to_start": 60}


async def ask(desk, sale_id, kind=ChangeKind.CANCEL, *, change_id=None, caller=None, **amended):
    async with desk.database.begin() as tx:
        return await service.ask_for_change(
            tx,
            change_id=change_id or new_id(),
            sale_id=sale_id,
            kind=kind,
            reason="客户改变主意",
            amendment=Amendment(**amended),
            caller=caller or desk.door.seller,
            now=desk.clock.now(),
        )


async def change_of(desk, sale_id) -> OrderChange:
    async with desk.database.read() as read:
        statement = select(OrderChange).where(OrderChange.sale_id == sale_id)
        rows = (await read.scalars(statement.order_by(OrderChange.asked_at))).all()
    found: OrderChange = rows[-1]
    return found


async def ended(desk, sale_id: UUID) -> OrderChange:
    """Work as the worker does until a change has ended."""
    for _ in range(200):
        await desk.sweep()
        change = await change_of(desk, sale_id)
        if change.ended_at is not None:
            return change
    raise AssertionError(f"the change is {change.state}: {change.last_error}")


async def test_an_order_is_cancelled_there_and_the_sale_here(desk, stand):
    stand.simulator.dial(**SLOW)
    sale_id = await desk.sell()
    await desk.send(sale_id)
    change = await ask(desk, sale_id)
    assert await desk.states([sale_id]) == ["cancelling"]
    # Asked again with the same id it is the same wish; another has to wait.
    assert (await ask(desk, sale_id, change_id=change.id)).id == change.id
    with pytest.raises(SameIdOtherContent):
        await ask(desk, sale_id, ChangeKind.AMEND, change_id=change.id, note="x")
    with pytest.raises(ChangeUnderWay):
        await ask(desk, sale_id)
    done = await ended(desk, sale_id)
    assert (done.state, done.attempts) == (ChangeState.DONE, 1)
    await finish(desk, [sale_id])
    assert await desk.states([sale_id]) == ["cancelled"]
    (order,) = stand.simulator.orders(str(sale_id))
    assert order["state"] == "cancelled"
    with pytest.raises(SaleRefused):
        await ask(desk, sale_id)


async def test_a_cancellation_whose_answer_is_lost_is_asked_for_once(desk, stand):
    stand.simulator.dial(**SLOW)
    sale_id = await desk.sell()
    await desk.send(sale_id)
    stand.simulator.dial(**SLOW, error_after=1.0)
    await ask(desk, sale_id)
    await desk.sweep()
    stand.simulator.dial(**SLOW)
    done = await ended(desk, sale_id)
    assert done.state is ChangeState.DONE
    assert done.tries_unknown == 1
    await finish(desk, [sale_id])
    assert await desk.states([sale_id]) == ["cancelled"]


async def test_a_cancellation_that_is_turned_down_lets_the_sale_go_on(desk, stand):
    stand.simulator.dial(**SLOW | {"seconds_to_complete": 0.5}, cancel_refused=1.0)
    sale_id = await desk.sell()
    await desk.send(sale_id)
    await ask(desk, sale_id)
    done = await ended(desk, sale_id)
    assert done.state is ChangeState.REFUSED
    await finish(desk, [sale_id])
    assert await desk.states([sale_id]) == ["completed"]


async def test_what_was_never_sent_is_cancelled_at_once(desk, stored):
    sale_id = await desk.sell()
    change = await ask(desk, sale_id)
    assert change.state is ChangeState.DONE
    assert await desk.states([sale_id]) == ["cancelled"]
    await desk.send(sale_id)
    await desk.sweep()
    assert stored()[str(sale_id)] == 0
    assert (await desk.sync(sale_id)).state is SyncState.FINISHED


async def test_an_order_is_amended_once_it_is_there(desk, stand):
    stand.simulator.dial(**SLOW)
    sale_id = await desk.sell()
    later = desk.clock.now() + timedelta(days=2)
    await ask(desk, sale_id, ChangeKind.AMEND, note="改约周末", requested_start=later)
    await desk.sweep()  # nothing is there yet that could be amended
    await desk.send(sale_id)
    done = await ended(desk, sale_id)
    assert done.state is ChangeState.DONE
    courier = await jobs.courier_of(desk.worker)
    remote_id = (await desk.sync(sale_id)).remote_id
    reply = await courier.client.exchange("GET", f"productOrder/{remote_id}")
    order = reply.json()
    assert order["requestedStartDate"].startswith(later.date().isoformat())
    assert order["note"][-1]["text"] == "改约周末"
    assert await desk.states([sale_id]) == ["acknowledged"]
    # One wish after the other: a new one may follow when the first has ended.
    desk.clock.tick(timedelta(seconds=1))
    await ask(desk, sale_id)
    assert (await ended(desk, sale_id)).state is ChangeState.DONE


async def test_the_notes_of_two_amendments_stand_beside_each_other(desk, stand):
    stand.simulator.dial(**SLOW)
    sale_id = await desk.sell()
    await desk.send(sale_id)
    first = await ask(desk, sale_id, ChangeKind.AMEND, note="改约周末")
    assert (await ended(desk, sale_id)).state is ChangeState.DONE
    desk.clock.tick(timedelta(seconds=1))
    second = await ask(desk, sale_id, ChangeKind.AMEND, note="请走北门")
    assert (await ended(desk, sale_id)).state is ChangeState.DONE
    courier = await jobs.courier_of(desk.worker)
    remote_id = (await desk.sync(sale_id)).remote_id
    order = (await courier.client.exchange("GET", f"productOrder/{remote_id}")).json()
    ours = {note["id"]: note["text"] for note in order["note"] if note.get("id", "1") != "1"}
    assert ours == {str(first.id): "改约周末", str(second.id): "请走北门"}
    desk.clock.tick(timedelta(seconds=1))
    await ask(desk, sale_id)
    assert (await ended(desk, sale_id)).state is ChangeState.DONE


async def test_a_place_is_what_was_sold_and_compared_at_night(desk, stand):
    """What happens to the address in our data afterwards alters neither what is sent nor what is
    compared; that the order is for another place is shown."""
    stand.simulator.dial(**STILL)
    sale_id = await desk.sell()
    sale = await desk.sale(sale_id)
    kept = (sale.place_code, sale.place_address)
    assert None not in kept
    async with desk.database.begin() as tx:
        before = await tx.execute(text("SELECT id, code, standard_address FROM service_address"))
        rows = before.all()
        moved = "UPDATE service_address SET code = code || '-X', standard_address = '别处'"
        await tx.execute(text(moved))
    try:
        async with desk.database.read() as read:
            order = await queries.order_to_place(read, sale_id)
        assert {(item.place.id, item.place.name) for item in order.items if item.place} == {kept}
        await desk.send(sale_id)
        courier = await jobs.courier_of(desk.worker)
        listed = await courier.client.listed_one((await desk.sync(sale_id)).remote_id or "")
        assert listed is not None and listed.places == (frozenset({sale.place_code}),)
        async with desk.database.read() as read:
            (ours,) = await reconciliation.sales_anew(read, [sale_id], now=desk.clock.now())
        there = theirs_of(listed, counts=True, org_unit_id=None)
        assert [each.kind for each in compare([ours], [there])] == [None]
        elsewhere = replace(there, places=(frozenset({"A-OTHER"}),))
        (case,) = compare([ours], [elsewhere])
        assert (case.kind, case.facts["ours"]["place"], case.facts["theirs"]["places"]) == (
            DifferenceKind.PLACE_DIFFERS,
            sale.place_code,
            ["A-OTHER"],
        )
    finally:
        async with desk.database.begin() as tx:
            back = (
                "UPDATE service_address SET code = :code, standard_address = :words WHERE id = :id"
            )
            await tx.execute(text(back), [{"id": i, "code": c, "words": w} for i, c, w in rows])
    await ask(desk, sale_id)
    assert (await ended(desk, sale_id)).state is ChangeState.DONE


async def test_an_item_that_came_back_is_taken_out_of_the_order(desk, stand):
    stand.simulator.dial(**SLOW)
    sale_id, tv = await with_an_item_taken_back(desk)
    # The same job again asks for nothing more.
    await jobs.item_reversed(desk.worker, sale_id=str(sale_id), item_id=str(tv.id))
    done = await ended(desk, sale_id)
    assert (done.state, done.kind, done.sale_item_id) == (ChangeState.DONE, ChangeKind.AMEND, tv.id)
    await same_on_both_sides(desk, sale_id, ["SPEED-1000"])
    async with desk.database.read() as read:
        steps = await read.scalars(select(SaleEvent.step).where(SaleEvent.sale_id == sale_id))
        assert {"item_reversed", "item_removed"} <= set(steps)
        assert len((await read.scalars(select(OrderChange))).all()) == 1
    desk.clock.tick(timedelta(seconds=1))
    await ask(desk, sale_id)
    assert (await ended(desk, sale_id)).state is ChangeState.DONE


@pytest.mark.parametrize(
    ("fault", "state", "left"),
    [
        ("error_after", ChangeState.DONE, ["SPEED-1000"]),
        ("error_before", ChangeState.REFUSED, ["SPEED-1000", "TV-4K"]),
    ],
)
async def test_an_order_that_ended_tells_whether_a_try_before_took_the_item_out(
    desk, stand, fault, state, left
):
    """Of the first try nobody knows how it went, and an order that has ended refuses the next."""
    stand.simulator.dial(**SLOW)
    sale_id, _ = await with_an_item_taken_back(desk)
    stand.simulator.dial(**SLOW, **{fault: 1.0})
    await desk.sweep()
    assert (await change_of(desk, sale_id)).tries_unknown == 1
    await complete(desk, stand, sale_id)
    done = await ended(desk, sale_id)
    await finish(desk, [sale_id])
    assert (done.state, done.attempts) == (state, 2)
    assert await desk.states([sale_id]) == ["completed"]
    await same_on_both_sides(desk, sale_id, left)


async def test_an_item_taken_out_while_the_news_of_the_end_comes_in_is_removed(desk, stand):
    stand.simulator.dial(**SLOW)
    sale_id, _ = await with_an_item_taken_back(desk)
    stand.simulator.dial(**SLOW, slow=1.0, slow_seconds=0.4)
    before = stand.simulator.counts()["events"].get("slow", 0)
    async with asyncio.TaskGroup() as under_way:
        under_way.create_task(desk.sweep())
        await until(
            lambda: stand.simulator.counts()["events"].get("slow", 0) > before, "the change"
        )
        told = event(sale_id, "completed", remote_id=(await desk.sync(sale_id)).remote_id or "")
        async with desk.database.begin() as tx:
            assert await service.hear(tx, read_event(told), told, desk.clock.now()) == "move"
    stand.simulator.dial(**SLOW)
    assert (await ended(desk, sale_id)).state is ChangeState.DONE
    await same_on_both_sides(desk, sale_id, ["SPEED-1000"])
    await complete(desk, stand, sale_id)


async def with_an_item_taken_back(desk):
    """Sell two things whose order runs, and have one taken back and its job done."""
    sale_id = await desk.sell((Line("SPEED-1000", 1), Line("TV-4K", 1)))
    await desk.send(sale_id)
    async with desk.database.begin() as tx:
        await sales.follow(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=desk.clock.now())
        _, tv = (await sales_queries.items_of(tx, [sale_id]))[sale_id]
        await sales.reverse_item(
            tx,
            sale_id=sale_id,
            item_id=tv.id,
            external_id="RET-1",
            reason=ReversalReason.NOT_AS_TOLD,
            returned_at=desk.clock.now(),
            caller=caller_for(Role.SUPERVISOR, desk.door.branch),
            now=desk.clock.now(),
        )
    await jobs.item_reversed(desk.worker, sale_id=str(sale_id), item_id=str(tv.id))
    return sale_id, tv


async def complete(desk, stand, sale_id):
    """Let an order end now: one that is not cancelled after all goes on with its end."""
    at_once = {"cancel_refused": 1.0, "seconds_to_cancel": 0, "seconds_to_complete": 0}
    stand.simulator.dial(**at_once)
    courier = await jobs.courier_of(desk.worker)
    remote_id = (await desk.sync(sale_id)).remote_id or ""
    await courier.client.cancel(remote_id, "never mind", desk.clock.now())

    def has_ended():
        (order,) = stand.simulator.orders(str(sale_id))
        return order["state"] == "completed"

    await until(has_ended, "the end")


async def same_on_both_sides(desk, sale_id, codes):
    """What is compared at night is what stands, on both sides."""
    courier = await jobs.courier_of(desk.worker)
    listed = await courier.client.listed_one((await desk.sync(sale_id)).remote_id or "")
    assert listed is not None
    assert [line.offering_code for line in listed.lines] == codes
    async with desk.database.read() as read:
        (ours,) = await reconciliation.sales_anew(read, [sale_id], now=desk.clock.now())
    assert ours.lines == listed.lines


@pytest.mark.parametrize(
    ("dials", "change", "sale", "differs"),
    [
        ({}, ChangeState.DONE, "cancelled", None),
        ({"cancel_refused": 1.0}, ChangeState.REFUSED, "acknowledged", DifferenceKind.RETURNED),
    ],
)
async def test_an_order_whose_sale_was_returned_is_cancelled_there_or_shown(
    desk, stand, dials, change, sale, differs
):
    stand.simulator.dial(**STILL, **dials)
    sale_id = await desk.sell()
    await desk.send(sale_id)
    async with desk.database.begin() as tx:
        await sales.follow(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=desk.clock.now())
        await sales.reverse(
            tx,
            sale_id=sale_id,
            external_id="RET-1",
            reason=ReversalReason.NOT_AS_TOLD,
            returned_at=desk.clock.now(),
            caller=caller_for(Role.SUPERVISOR, desk.door.branch),
            now=desk.clock.now(),
        )
        assert await jobs_of(tx, "sale.reversed") == [str(sale_id)]
    for _ in range(2):
        await jobs.sale_reversed(desk.worker, sale_id=str(sale_id))
    assert await desk.states([sale_id]) == ["cancelling"]
    done = await ended(desk, sale_id)
    assert (done.kind, done.state, done.asked_by) == (ChangeKind.CANCEL, change, None)
    if differs is None:
        await finish(desk, [sale_id])
    # Once it has refused, it is not asked again by itself.
    await jobs.sale_reversed(desk.worker, sale_id=str(sale_id))
    assert await desk.states([sale_id]) == [sale]
    courier = await jobs.courier_of(desk.worker)
    listed = await courier.client.listed_one((await desk.sync(sale_id)).remote_id or "")
    async with desk.database.read() as read:
        assert len((await read.scalars(select(OrderChange))).all()) == 1
        steps = (await read.scalars(select(SaleEvent.step))).all()
        assert steps.count(SaleStep.REVERSED) == 1
        ours = await reconciliation.sales_anew(read, [sale_id], now=desk.clock.now())
    assert listed is not None
    theirs = theirs_of(listed, counts=True, org_unit_id=None)
    (finding,) = compare(ours, [theirs])
    assert finding.kind is differs
    if differs is not None:
        # A person may ask again.
        stand.simulator.dial(**SLOW)
        desk.clock.tick(timedelta(seconds=1))
        await ask(desk, sale_id)
        assert (await ended(desk, sale_id)).state is ChangeState.DONE


async def test_what_was_returned_after_its_order_had_ended_is_no_matter_of_that_order(desk):
    sale_id = await desk.sell()
    await desk.send(sale_id)
    await finish(desk, [sale_id])
    async with desk.database.begin() as tx:
        assert await service.tell_of_returned_sale(tx, sale_id, now=desk.clock.now())
        assert await tx.scalar(select(OrderChange.id)) is None


async def test_what_cannot_be_asked_is_refused_and_nothing_written(desk):
    sale_id = await desk.sell()
    with pytest.raises(NothingToChange):
        await ask(desk, sale_id, ChangeKind.AMEND)
    with pytest.raises(NothingToChange):
        await ask(desk, sale_id, ChangeKind.CANCEL, note="x")
    async with desk.database.begin() as tx:
        stranger = caller_for(desk.door.seller.role, await make_org_unit(tx))
    with pytest.raises(NotFound):
        await ask(desk, sale_id, caller=stranger)
    async with desk.database.read() as read:
        assert (await read.scalars(select(OrderChange))).all() == []
    assert await desk.states([sale_id]) == ["confirmed"]
