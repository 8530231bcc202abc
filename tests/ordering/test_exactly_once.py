"""Rules, client and a misbehaving ordering system together: each order is there once."""

import asyncio
from datetime import timedelta

from app.ordering.client import OrderingClient
from app.ordering.rules import (
    Delay,
    OrderingFailed,
    RetryNumbers,
    after_failure,
    must_look_first,
)
from tests.ordering.factory import make_order

PATIENT = RetryNumbers(
    first_delay=timedelta(milliseconds=10),
    longest_delay=timedelta(milliseconds=50),
    settle=timedelta(milliseconds=50),
    longest_retry_after=timedelta(milliseconds=50),
    tries_not_sent=100,
    tries_unknown=100,
)


async def deliver(client: OrderingClient, external_id: str) -> str:
    """Deliver one order as the rules say, and return the other side's id."""
    order = make_order(external_id=external_id)
    for attempts_begun in range(100):
        try:
            found = None
            if must_look_first(attempts_begun, timedelta(), timedelta()):
                found = await client.find(external_id)
            return (found or await client.place(order)).id
        except OrderingFailed as failed:
            then = after_failure(
                attempts_begun + 1, failed.failure, failed.retry_after, PATIENT, luck=0.5
            )
            if not isinstance(then, Delay):
                raise
            await asyncio.sleep(then.after.total_seconds())
    raise AssertionError(f"{external_id} was never delivered")


async def test_orders_arrive_once_each_through_every_fault(make_simulator):
    simulator = make_simulator()
    simulator.start(
        seed=1,
        too_many=0.1,
        error_before=0.1,
        error_after=0.1,
        hang_after=0.05,
        cut_after=0.1,
        cut_midway=0.1,
        error_on_read=0.2,
        accepted=0.5,
    )
    wanted = [f"sale-{number}" for number in range(100)]
    turn = asyncio.Semaphore(8)
    async with OrderingClient(simulator.base_url, time_limit=0.5) as client:

        async def one(external_id: str) -> str:
            async with turn:
                return await deliver(client, external_id)

        told = await asyncio.gather(*(one(external_id) for external_id in wanted))
    stored = {each["id"]: each["externalId"] for each in simulator.orders()}
    assert stored == dict(zip(told, wanted, strict=True))
    counts = simulator.counts()
    # The run was a hard one: every fault happened.
    faults = {"too_many", "error_before", "error_after", "hang_after", "cut_after", "cut_midway"}
    assert faults | {"error_on_read"} <= set(counts["events"])
    assert counts["doubled_external_ids"] == 0
