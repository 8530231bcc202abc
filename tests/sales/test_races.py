"""Two phones, double taps and lost commits, with real connections: one sale, one job."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import SameIdOtherContent
from app.sales import service
from app.sales.models import Sale, SaleEvent, SaleItem
from app.sales.rules import CannotBeHad, Line, ReversalReason, SaleRefused, SaleState, SaleStep
from tests.make.acceptance import another
from tests.make.auth import bearer, caller_for
from tests.make.consent import code_told, request_body
from tests.make.pools import with_connections
from tests.make.races import until_waiting
from tests.make.sales import (
    agree,
    consent_body,
    jobs_of,
    make_colleague,
    make_confirmed,
    make_door,
    make_draft,
    sale_body,
)
from tests.sales.conftest import fill_catalogue

TV = (Line("TV-4K", 1),)


@pytest.fixture
async def real_door(real_database, clock):
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        return await make_door(tx, now=clock.now())


@pytest.fixture
def real_post(real_app, real_http, real_door):
    async def send(path, body=None):
        headers = bearer(real_app, real_door.seller)
        return await real_http.post(f"/v1/sales{path}", json=body, headers=headers)

    return send


async def test_the_job_is_there_exactly_when_the_sale_is_confirmed(real_database, real_door, clock):
    async with real_database.begin() as tx:
        draft = await make_draft(tx, real_door, now=clock.now())
    with suppress(ZeroDivisionError):
        async with real_database.begin() as tx:
            await agree(tx, real_door, draft.id, now=clock.now())
            assert await jobs_of(tx) == [str(draft.id)]
            raise ZeroDivisionError
    async with real_database.read() as read:
        assert await jobs_of(read) == []
        assert (await read.get_one(Sale, draft.id)).state is SaleState.DRAFT
    async with real_database.begin() as tx:
        await agree(tx, real_door, draft.id, now=clock.now())
        async with real_database.read() as read:
            assert await jobs_of(read) == []  # nobody hears of it before the commit
    async with real_database.read() as read:
        assert await jobs_of(read) == [str(draft.id)]
        assert (await read.get_one(Sale, draft.id)).state is SaleState.CONFIRMED


async def test_a_connection_lost_at_the_commit_leaves_neither_sale_nor_job(
    real_database, real_door, real_post, clock, monkeypatch
):
    """The phone is told that nothing was recorded, and that is so."""
    body = sale_body(real_door)
    consent = consent_body(clock.now(), (await real_post("", body)).json()["shown_sha256"])

    async def cut(session, request):
        connection = await session.connection()
        raw = await connection.get_raw_connection()
        await raw.driver_connection.close()

    monkeypatch.setattr(real_database, "before_commit", cut)
    answer = await real_post(f"/{body['id']}/confirm", consent)
    assert answer.status_code == 503
    monkeypatch.undo()
    async with real_database.read() as read:
        assert await jobs_of(read) == []
    answer = await real_post(f"/{body['id']}/confirm", consent)
    assert (answer.status_code, answer.json()["state"]) == (200, "confirmed")
    async with real_database.read() as read:
        assert await jobs_of(read) == [body["id"]]


@pytest.mark.parametrize("lines", [None, TV])
async def test_two_phones_put_the_same_sale_together(real_database, real_door, clock, lines):
    """The second waits for the first; then it is the same sale, or a refusal."""
    sale_id = new_id()

    async def second():
        async with real_database.begin() as tx:
            more = {"lines": lines} if lines else {}
            return await make_draft(tx, real_door, sale_id=sale_id, now=clock.now(), **more)

    async with real_database.begin() as tx:
        first = await make_draft(tx, real_door, sale_id=sale_id, now=clock.now())
        other = asyncio.create_task(second())
        await until_waiting(real_database)
    if lines is None:
        assert (await other).content_hash == first.content_hash
    else:
        with pytest.raises(SameIdOtherContent):
            await other
    async with real_database.read() as read:
        items = (await read.scalars(select(SaleItem))).all()
    assert [item.offering_code for item in items] == ["SPEED-1000"]


async def test_a_sale_whose_first_sender_rolls_back_is_made_by_the_second(
    real_database, real_door, clock
):
    sale_id = new_id()

    async def second():
        async with real_database.begin() as tx:
            await make_draft(tx, real_door, sale_id=sale_id, now=clock.now())

    with suppress(ZeroDivisionError):
        async with real_database.begin() as tx:
            await make_draft(tx, real_door, sale_id=sale_id, now=clock.now())
            other = asyncio.create_task(second())
            await until_waiting(real_database)
            raise ZeroDivisionError
    await other
    async with real_database.read() as read:
        assert await read.get(Sale, sale_id) is not None
        assert await read.scalar(select(func.count()).select_from(SaleItem)) == 1


async def test_two_phones_confirm_the_same_sale(real_database, real_door, clock):
    async with real_database.begin() as tx:
        draft = await make_draft(tx, real_door, now=clock.now())

    async def second():
        async with real_database.begin() as tx:
            return await agree(tx, real_door, draft.id, now=clock.now())

    async with real_database.begin() as tx:
        await agree(tx, real_door, draft.id, now=clock.now())
        other = asyncio.create_task(second())
        await until_waiting(real_database)
    assert (await other).state is SaleState.CONFIRMED
    async with real_database.read() as read:
        assert await jobs_of(read) == [str(draft.id)]


@pytest.mark.parametrize("by", ["the same technician", "a colleague in another visit"])
async def test_of_two_sales_of_one_thing_to_a_customer_one_is_agreed_to(
    real_database, real_door, clock, by
):
    """The second waits for the first, and is told what it would have been told after it."""
    async with real_database.begin() as tx:
        there = real_door
        if by == "a colleague in another visit":
            there = await make_colleague(tx, real_door, now=clock.now())
        first, second = [
            await make_draft(tx, door, now=clock.now(), lines=TV) for door in (real_door, there)
        ]

    async def other():
        async with real_database.begin() as tx:
            await agree(tx, there, second.id, now=clock.now())

    async with real_database.begin() as tx:
        await agree(tx, real_door, first.id, now=clock.now())
        waiting = asyncio.create_task(other())
        await until_waiting(real_database)
    with pytest.raises(CannotBeHad) as refused:
        await waiting
    assert refused.value.facts["codes"] == ["order_pending"]
    async with real_database.read() as read:
        assert await jobs_of(read) == [str(first.id)]
        assert (await read.get_one(Sale, second.id)).state is SaleState.DRAFT


async def test_confirming_and_cancelling_at_once_ends_in_one_of_the_two(
    real_database, real_door, clock
):
    async with real_database.begin() as tx:
        draft = await make_draft(tx, real_door, now=clock.now())

    async def cancel():
        async with real_database.begin() as tx:
            await service.cancel(tx, sale_id=draft.id, caller=real_door.seller, now=clock.now())

    async with real_database.begin() as tx:
        await agree(tx, real_door, draft.id, now=clock.now())
        other = asyncio.create_task(cancel())
        await until_waiting(real_database)
    with pytest.raises(SaleRefused):
        await other
    async with real_database.read() as read:
        assert (await read.get_one(Sale, draft.id)).state is SaleState.CONFIRMED
        assert await jobs_of(read) == [str(draft.id)]


async def test_a_return_and_the_end_of_its_order_reverse_a_sale_once(
    real_database, real_door, clock
):
    """Whoever comes second sees what the first has done, also among many."""
    async with real_database.begin() as tx:
        sale = await make_confirmed(tx, real_door, now=clock.now())
        await service.follow(tx, sale_id=sale.id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    later = clock.now() + timedelta(minutes=1)

    async def rejected():
        async with real_database.begin() as tx:
            news = {sale.id: service.News(SaleState.REJECTED, "no port")}
            await service.follow_many(tx, news, at=later)

    async with real_database.begin() as tx:
        await service.reverse(
            tx,
            sale_id=sale.id,
            external_id="RET-1",
            reason=ReversalReason.CHANGED_MIND,
            returned_at=clock.now(),
            caller=caller_for(Role.SUPERVISOR, real_door.branch),
            now=clock.now(),
        )
        other = asyncio.create_task(rejected())
        await until_waiting(real_database)
    await other
    async with real_database.read() as read:
        known = await read.get_one(Sale, sale.id)
        assert (known.state, known.reversed_at) == (SaleState.REJECTED, clock.now())
        steps = (await read.scalars(select(SaleEvent.step))).all()
        assert (steps.count(SaleStep.REVERSED), steps.count(SaleStep.REJECTED)) == (1, 1)


async def test_a_double_tap_many_times_over_is_one_sale_one_job_one_trace(
    real_database, real_door, real_post, clock
):
    body = sale_body(real_door)
    made = await asyncio.gather(*(real_post("", body) for _ in range(12)))
    assert Counter(answer.status_code for answer in made) == {201: 12}
    assert len({answer.content for answer in made}) == 1
    consent = consent_body(clock.now(), made[0].json()["shown_sha256"])
    confirmed = await asyncio.gather(
        *(real_post(f"/{body['id']}/confirm", consent) for _ in range(12))
    )
    assert Counter(answer.status_code for answer in confirmed) == {200: 12}
    assert len({answer.content for answer in confirmed}) == 1
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(Sale)) == 1
        assert await read.scalar(select(func.count()).select_from(SaleItem)) == 1
        assert await jobs_of(read) == [body["id"]]
        traces = await read.scalars(
            select(AuditEntry.action).where(AuditEntry.changed_ids.contains([UUID(body["id"])]))
        )
        assert sorted(traces) == ["sales_confirm", "sales_put_together"]


async def test_many_sales_at_once_have_a_job_each(real_database, real_door, clock):
    async with real_database.begin() as tx:
        doors = [await make_door(tx, now=clock.now()) for _ in range(12)]

    async def one(door):
        async with real_database.begin() as tx:
            return (await make_confirmed(tx, door, now=clock.now(), lines=TV)).id

    made = await asyncio.gather(*map(one, doors))
    clock.tick(timedelta(minutes=1))
    async with real_database.read() as read:
        assert sorted(await jobs_of(read)) == sorted(map(str, made))


async def test_a_burst_of_told_codes_does_not_wait_for_itself(
    real_database, real_app, real_http, settings, clock
):
    """More phones than connections: nobody holds one and waits for another."""
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        doors = [await make_door(tx, now=clock.now()) for _ in range(6)]
        drafts = [await make_draft(tx, door, now=clock.now()) for door in doors]
    sent = []
    for door, draft in zip(doors, drafts, strict=True):
        url, headers = f"/v1/sales/{draft.id}", bearer(real_app, door.seller)
        asked = request_body()
        await real_http.post(f"{url}/consent-requests", json=asked, headers=headers)
        async with real_database.read() as read:
            code = await code_told(read, draft.id)
        consent = {"kind": "otp", "given_at": clock.now().isoformat(), "request_id": asked["id"]}
        sent.append((f"{url}/confirm", consent, code, headers))

    async def told(http, path, consent, code, headers, key):
        return await http.post(
            path,
            json={"consent": {**consent, "code": code}},
            headers={**headers, "accept-language": "en", "idempotency-key": str(key)},
        )

    async with with_connections(2, real_database, settings, clock) as http:
        keys = [new_id() for _ in sent]
        wrong = await asyncio.gather(
            *(
                told(http, path, consent, another(code), headers, key)
                for (path, consent, code, headers), key in zip(sent, keys, strict=True)
            )
        )
        assert [one.status_code for one in wrong] == [409] * 6
        # The try is counted though it was refused, and once though it comes again.
        path, consent, code, headers = sent[0]
        again = await told(http, path, consent, another(code), headers, keys[0])
        assert (again.json()["facts"], again.headers["idempotent-replayed"]) == (
            {"tries_left": 4},
            "true",
        )
        assert (await told(http, path, consent, another(code, 2), headers, new_id())).json()[
            "facts"
        ] == {"tries_left": 3}
        keys = [new_id() for _ in sent]
        right = await asyncio.gather(
            *(told(http, *one, key) for one, key in zip(sent, keys, strict=True))
        )
        assert [one.status_code for one in right] == [200] * 6
        again = await told(http, path, consent, code, headers, keys[0])
        assert (again.content, again.headers["idempotent-replayed"]) == (right[0].content, "true")
    async with real_database.read() as read:
        assert sorted(await jobs_of(read)) == sorted(str(draft.id) for draft in drafts)
