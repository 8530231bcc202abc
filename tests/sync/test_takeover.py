"""A standby takes over: no phone misses what the new primary writes, nor keeps what was lost."""

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from alembic import command
from sqlalchemy import text

from app.core.cluster import Cluster
from app.core.db import libpq_url, open_database
from app.core.settings import Settings
from app.migrating import config, upgrade
from app.sync.rules import Cursor, cursor_of
from app.sync.service import epochs, turning
from tests.conftest import assembled, http_on
from tests.make.clusters import with_tables
from tests.make.pools import with_connections
from tests.make.visits import make_assigned_order, make_phone
from tests.sync.stores import Store


@contextmanager
def standby_of(primary: Cluster) -> Iterator[Cluster]:
    """Give a copy of a running cluster, with the product's database, that follows it when it is
    started."""
    with_tables(primary)
    with tempfile.TemporaryDirectory(prefix="yingwei-") as folder:
        owner = primary.home.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        where = primary.url("postgres")
        copied = primary._run(
            primary._server().program("pg_basebackup"),
            *("--pgdata", f"{folder}/data", "--dbname", where),
            *("--write-recovery-conf", "--checkpoint=fast", "--no-sync"),
        )
        assert copied.returncode == 0, copied.stderr
        yield Cluster(Path(folder), durable=False)


def xid_of(store: Store) -> int:
    """Tell up to which transaction a phone knows of everything."""
    assert store.cursor is not None
    return cursor_of(store.cursor).xid


async def burn(database, numbers: int) -> None:
    """Let so many transactions begin to write."""
    for _ in range(numbers):
        async with database.begin() as tx:
            await tx.execute(text("SELECT pg_current_xact_id()"))


async def test_what_a_promoted_standby_writes_reaches_phones_that_knew_more(settings, clock):
    with Cluster.throw_away() as primary, standby_of(primary) as standby:
        old = open_database(settings.model_copy(update={"database_url": primary.url("yingwei")}))
        application = assembled(settings, clock=clock, database=old)
        async with application.router.lifespan_context(application), http_on(application) as http:
            async with old.begin() as tx:
                phones = [await make_phone(tx, application, http, clock) for _ in range(3)]
            behind, ahead, far_ahead = stores = [Store(one, tags=True) for one in phones]
            await behind.pull()
            async with old.begin() as tx:
                await turning.turn(tx, clock.now())
            for store in stores:
                await store.pull()
            with standby:
                await caught_up(old, standby)
            # What is written from here on is lost. The second phone knows numbers of it, under
            # which nothing was told.
            await burn(old, 3)
            ahead.tags = False
            await ahead.pull()
            ahead.tags = True
            async with old.begin() as tx:
                lost = await make_assigned_order(tx, phones[2].technician, now=clock.now())
            await burn(old, 20)
            await far_ahead.pull()
            assert str(lost.id) in far_ahead["work_orders"]
        await old.close()
        primary.stop()

        with standby:
            new = open_database(
                settings.model_copy(update={"database_url": standby.url("yingwei")})
            )
            async with new.read() as read:
                await read.execute(text("SELECT pg_promote()"))
            application = assembled(settings, clock=clock, database=new)
            async with (
                application.router.lifespan_context(application),
                http_on(application) as http,
            ):
                for store in stores:
                    store.phone.http = http
                orders: list[str] = []
                for phone in phones:
                    async with new.begin() as tx:
                        made = await make_assigned_order(tx, phone.technician, now=clock.now())
                        orders.append(str(made.id))
                # Before anybody asks, the numbers that the second phone knew are given out again.
                await burn(new, 6)
                async with new.read() as read:
                    now_at = await read.scalar(
                        text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
                    )
                assert xid_of(ahead) < now_at < xid_of(far_ahead)
                for store, order in zip((behind, ahead), orders, strict=False):
                    answer = await store.ask()
                    assert answer.status_code == 200, answer.text
                    store.keep(answer)
                    assert list(store["work_orders"]) == [order]
                # Who knew what nobody knows any more begins anew.
                answer = await far_ahead.ask()
                assert answer.status_code == 410
                fresh = Store(phones[2], tags=True)
                await fresh.pull()
                assert list(fresh["work_orders"]) == [orders[2]]
                # From here on cursors are those of the new primary.
                for store in (behind, ahead, fresh):
                    await store.pull()
                    assert (await store.ask()).status_code == 304
            await new.close()


@pytest.mark.parametrize("tags", [False, True])
async def test_a_process_that_has_not_noticed_yet_turns_no_phone_away(
    real_database, real_app, real_http, settings, clock, monkeypatch, tags
):
    monkeypatch.setattr(epochs, "KNOWN", 3600.0)
    async with real_database.begin() as tx:
        phones = [await make_phone(tx, real_app, real_http, clock) for _ in "12"]
    moves, stays = stores = [Store(one, tags=tags) for one in phones]
    await moves.pull()
    async with real_database.begin() as tx:
        await turning.turn(tx, clock.now())
    for store in stores:
        await store.pull()
    remembered = dict(real_database.cache)
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE sync_epoch SET timeline = timeline - 1"))
    async with with_connections(4, real_database, settings, clock) as elsewhere:
        # Another process notices, and what is known by the first is true no longer.
        moves.phone.http = elsewhere
        await moves.pull()
        await burn(real_database, 3)
        for store in (stays, moves):
            async with real_database.begin() as tx:
                order = await make_assigned_order(tx, store.phone.technician, now=clock.now())
            real_database.cache.update(remembered)
            store.phone.http = real_http
            answer = await store.ask()
            assert answer.status_code == 200, answer.text
            store.keep(answer)
            assert list(store["work_orders"]) == [str(order.id)]
            store.phone.http = elsewhere
            answer = await store.ask()
            assert answer.status_code in (200, 304), answer.text
            store.keep(answer)
        # All of them speak of one epoch.
        assert {cursor_of(one.cursor or 0).epoch for one in stores} == {epoch_in(real_database)}
        assert epoch_in(real_database) != remembered["sync_epoch"][1].number


async def takes_over(database) -> None:
    """Let the database be that of a standby which has just taken over."""
    async with database.begin() as tx:
        await tx.execute(text("UPDATE sync_epoch SET timeline = timeline - 1"))
    database.cache.clear()


async def test_a_phone_goes_on_however_many_standbys_took_over_while_it_slept(
    real_database, real_app, real_http, clock
):
    async with real_database.begin() as tx:
        phones = [await make_phone(tx, real_app, real_http, clock) for _ in range(4)]
    awake, *sleepers = stores = [Store(one) for one in phones]
    await awake.pull()
    orders: dict[Store, list[str]] = {store: [] for store in stores}
    # The first of them sleeps through three takeovers, and the last one through one.
    for falls_asleep in sleepers:
        async with real_database.begin() as tx:
            await turning.turn(tx, clock.now())
        clock.tick(timedelta(minutes=1))
        await burn(real_database, 3)
        await falls_asleep.pull()
        await takes_over(real_database)
        await awake.pull()
        for store in stores:
            async with real_database.begin() as tx:
                made = await make_assigned_order(tx, store.phone.technician, now=clock.now())
                orders[store].append(str(made.id))
    epochs_known = {cursor_of(store.cursor or 0).epoch for store in stores}
    assert len(epochs_known) == 4
    # A cursor waits for whoever writes anywhere in the cluster; what is given out now does not.
    async with real_database.begin() as tx:
        latest = await tx.scalar(text("SELECT pg_current_xact_id()::text::bigint"))
    for store in stores:
        slept = store.cursor
        answer = await store.ask()
        assert answer.status_code == 200, answer.text
        store.keep(answer)
        assert sorted(store["work_orders"]) == sorted(orders[store])
        if store is not awake:
            # Nothing of its epoch is known beyond where the next one began.
            beyond = Store(store.phone)
            beyond.cursor = Cursor(cursor_of(slept or 0).epoch, latest).number
            assert (await beyond.ask()).status_code == 410
        store.cursor = slept
    # What a restored dump has lost is lost to all of them.
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE sync_epoch SET cluster = cluster - 1"))
    real_database.cache.clear()
    assert {(await store.ask()).status_code for store in stores} == {410}
    await takes_over(real_database)
    assert {(await store.ask()).status_code for store in stores} == {410}


async def test_what_is_told_while_an_epoch_begins_is_no_cursor_of_what_is_lost(
    real_database, real_app, real_http, clock, monkeypatch
):
    monkeypatch.setattr(epochs, "KNOWN", 3600.0)
    async with real_database.begin() as tx:
        store = Store(await make_phone(tx, real_app, real_http, clock))
    await store.pull()
    async with real_database.begin() as tx:
        await turning.turn(tx, clock.now())
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE sync_epoch SET timeline = timeline - 1"))
    # Whoever still writes holds all cursors back, and is done before the epoch is there.
    async with real_database.begin() as noticing:
        async with real_database.begin() as writing:
            await writing.execute(text("SELECT pg_current_xact_id()"))
            await epochs.mind_takeover(noticing, clock.now())
        await burn(real_database, 1)
        await store.pull()
    assert (await store.ask()).status_code == 200


def epoch_in(database) -> int:
    """Tell which epoch a process remembers."""
    known: int = database.cache["sync_epoch"][1].number
    return known


async def test_an_upgrade_begins_no_epoch(databases, clock):
    """A database from before timelines were known: what phones know goes on to count."""
    with databases.clone() as url:
        command.downgrade(config(url), "0101")
        with psycopg.connect(libpq_url(url)) as connection:
            connection.execute(
                "INSERT INTO sync_epoch (epoch, cluster, database, began_at)"
                " SELECT 7, system_identifier, (SELECT oid::bigint FROM pg_database"
                " WHERE datname = current_database()), now() FROM pg_control_system()"
            )
        upgrade(url)
        database = open_database(Settings(database_url=url))
        try:
            known = await epochs.current(database, clock.now())
        finally:
            await database.close()
        assert (known.number, known.same, known.taken_over, known.before) == (7, True, False, {})


async def caught_up(old, standby: Cluster) -> None:
    """Wait until a standby has replayed whatever the primary has written by now."""
    async with old.read() as read:
        upto = await read.scalar(text("SELECT pg_current_wal_insert_lsn()::text"))
    following = open_database(Settings(database_url=standby.url("yingwei")))
    try:
        for _ in range(200):
            async with following.read() as read:
                if await read.scalar(
                    text("SELECT pg_last_wal_replay_lsn() >= CAST(:upto AS pg_lsn)"), {"upto": upto}
                ):
                    return
            await asyncio.sleep(0.05)
    finally:
        await following.close()
    pytest.fail("the standby does not follow")
