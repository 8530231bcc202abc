"""Statements that go to the driver itself belong to the session's transaction all the same."""

import asyncio

import psycopg
import pytest
from sqlalchemy import text

from app.core.db import PLANNED_ONCE, Ask, fetched, fetched_together
from app.core.errors import Unavailable

_FLAG = """
    INSERT INTO shared_point (lon_e6, lat_e6, flagged_at)
    VALUES (%(lon)s, 28000000, now()) RETURNING lon_e6
"""


async def flagged(database):
    async with database.read() as session:
        rows = await fetched(session, "SELECT lon_e6 FROM shared_point ORDER BY 1", {})
    return [lon for (lon,) in rows]


async def test_what_a_transaction_fetched_last_is_committed_with_it(real_database):
    async with real_database.begin() as tx:
        assert await fetched(tx, _FLAG, {"lon": 1}) == [(1,)]
    assert await flagged(real_database) == [1]


async def test_what_is_fetched_first_within_a_savepoint_goes_back_with_it(real_database):
    """A savepoint is set when the session is asked for its connection, and not before."""
    async with real_database.begin() as tx:
        await fetched(tx, _FLAG, {"lon": 1})
        savepoint = await tx.begin_nested()
        await fetched(tx, _FLAG, {"lon": 2})
        await savepoint.rollback()
        async with tx.begin_nested():
            await fetched(tx, _FLAG, {"lon": 3})
        await fetched(tx, _FLAG, {"lon": 4})
    assert await flagged(real_database) == [1, 3, 4]


async def test_what_is_fetched_together_comes_in_its_order(real_database):
    async with real_database.begin() as tx:
        both = await fetched_together(tx, Ask(_FLAG, {"lon": 1}), Ask(_FLAG, {"lon": 2}))
        assert both == [[(1,)], [(2,)]]
        assert await fetched_together(tx) == []
    assert await flagged(real_database) == [1, 2]


async def test_one_that_fails_among_those_is_what_is_raised(real_database):
    async def three():
        async with real_database.begin() as tx:
            fails = Ask("SELECT 1 / %(by)s", {"by": 0})
            await fetched_together(tx, Ask(_FLAG, {"lon": 1}), fails, Ask(_FLAG, {"lon": 2}))

    with pytest.raises(psycopg.errors.DivisionByZero):
        await three()
    async with real_database.begin() as tx:
        await fetched_together(tx, Ask(_FLAG, {"lon": 3}), Ask(_FLAG, {"lon": 4}))
    assert await flagged(real_database) == [3, 4]


async def test_that_plans_are_made_once_ends_with_the_transaction(real_database):
    mode = text("SHOW plan_cache_mode")
    async with real_database.begin() as tx:
        await fetched(tx, f"SELECT {PLANNED_ONCE}", {})
        assert await tx.scalar(mode) == "force_generic_plan"
    async with real_database.begin() as tx:
        assert await tx.scalar(mode) == "auto"


async def test_a_second_transaction_of_one_session_looks_up_its_own_connection(real_database):
    async with real_database._writer() as session:
        async with session.begin():
            await fetched(session, _FLAG, {"lon": 1})
        async with session.begin():
            await fetched(session, _FLAG, {"lon": 2})
    assert await flagged(real_database) == [1, 2]


async def test_a_snapshot_is_one_for_all_its_statements_and_for_nothing_after_it(real_database):
    level = text("SHOW transaction_isolation")
    async with real_database.snapshot() as tx:
        assert await tx.scalar(level) == "repeatable read"
    async with real_database.begin() as tx:
        assert await tx.scalar(level) == "read committed"


async def test_a_transaction_that_does_nothing_is_ended_and_holds_nothing_back(real_database):
    """While it is open nothing that was written since is known to phones."""
    after = "idle_in_transaction_session_timeout"
    async with real_database.begin() as tx:
        assert await tx.scalar(text(f"SHOW {after}")) == "10s"

    async def idles():
        async with real_database.begin() as tx:
            await tx.execute(text(f"SET LOCAL {after} = '20ms'"))
            await fetched(tx, _FLAG, {"lon": 1})
            await asyncio.sleep(0.2)
            await tx.execute(text("SELECT 1"))

    with pytest.raises(Unavailable):
        await idles()
    # Its connection is lent to nobody.
    async with real_database.begin() as tx:
        await fetched(tx, _FLAG, {"lon": 2})
    assert await flagged(real_database) == [2]


async def test_a_connection_in_whatever_state_is_closed_and_lent_to_nobody_else(real_database):
    lent = []

    async def fails():
        async with real_database.hot() as driver:
            lent.append(driver)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert lent[0].closed
    async with real_database.hot() as driver:
        assert driver is not lent[0]
