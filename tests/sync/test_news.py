"""Who has news, as processes know it: never too late, never twice, and everybody after a fault."""

import asyncio
from uuid import UUID

from sqlalchemy import text

from app.core.errors import Unavailable
from app.sync.queries import feed
from app.sync.rules import Kind
from app.sync.rules.tables import EVERYBODY
from app.sync.service.news import MANY, News
from tests.make.counting import counted

MINE, OTHER = UUID(int=7), UUID(int=8)


async def touch(tx, *technicians):
    await feed.touch(tx, [(one, Kind.DAY, UUID(int=1)) for one in technicians])


class Seen:
    """Tells of which technicians the mark has moved since it was last asked."""

    def __init__(self, news):
        self.news = news
        self.marks = {}

    async def moved(self):
        assert await self.news.caught_up()
        before, self.marks = self.marks, {one: self.news.mark(one) for one in (MINE, OTHER)}
        return {one for one in self.marks if self.marks[one] != before.get(one, 0)}


async def test_who_has_news_is_known_by_every_process_once_it_is_committed(real_database):
    processes = [News(real_database), News(real_database)]
    for seen in map(Seen, processes):
        # Of what was before it began a process knows nothing.
        assert await seen.moved() == {MINE, OTHER}
        assert await seen.moved() == set()
        async with real_database.begin() as slow:
            await touch(slow, MINE)
            async with real_database.begin() as quick:
                await touch(quick, OTHER)
            assert await seen.moved() == {OTHER}
            # However long another transaction goes on, what was told is not told again.
            assert await seen.moved() == set()
        assert await seen.moved() == {MINE}
        assert seen.news.position > 0

    first, second = map(Seen, processes)
    for seen in (first, second):
        await seen.moved()
    async with real_database.begin() as tx:
        await touch(tx, EVERYBODY)
    assert await first.moved() == await second.moved() == {MINE, OTHER}
    with counted(real_database) as sent:
        await asyncio.gather(*(first.news.caught_up() for _ in range(50)))
    assert len(sent) == 1
    for process in processes:
        await process.close()


async def test_few_who_ask_wait_for_others_and_many_do_not(real_database, monkeypatch):
    news = News(real_database)
    assert await news.caught_up()
    monkeypatch.setattr("app.sync.service.news.GATHER", 60.0)
    few = [asyncio.create_task(news.caught_up()) for _ in range(MANY - 1)]
    done, _ = await asyncio.wait(few, timeout=0.2)
    assert not done
    async with asyncio.timeout(30):
        assert await news.caught_up()
        assert all(await asyncio.gather(*few))
    # They begin anew with those who come next.
    one = asyncio.create_task(news.caught_up())
    done, _ = await asyncio.wait([one], timeout=0.2)
    assert not done
    await news.close()
    await asyncio.gather(one, return_exceptions=True)


async def test_what_is_not_known_for_certain_is_news_for_everybody(real_database, monkeypatch):
    news = News(real_database)
    seen = Seen(news)
    await seen.moved()

    # Another life of the database, such as a dump that was restored.
    async with real_database.begin() as tx:
        await feed.begin_epoch(tx, 7, await tx.scalar(text("SELECT now()")))
    assert await seen.moved() == {MINE, OTHER}

    lend = real_database.hot

    def lost(*, fresh=False):
        raise Unavailable(retry_after=2, reason="57P01")

    monkeypatch.setattr(real_database, "hot", lost)
    assert not await news.caught_up()
    assert news.position == 0
    monkeypatch.setattr(real_database, "hot", lend)
    assert await seen.moved() == {MINE, OTHER}
    await news.close()


async def test_whoever_watches_hears_of_their_own_news(real_database):
    news = News(real_database)
    mine, other = news.of(MINE, within=5), news.of(OTHER, within=0.05)
    # The first look cannot tell who has news.
    assert await anext(mine) == news.mark(MINE)
    assert await anext(other) is None
    async with real_database.begin() as tx:
        await touch(tx, MINE)
    assert await anext(mine) == news.mark(MINE)
    assert await anext(other) is None
    news.stop()
    assert [one async for one in mine] == [one async for one in other] == []
    await news.close()
