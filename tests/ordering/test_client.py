"""The client against a running simulator with each dial, and against servers that send rubbish."""

import asyncio
import gzip
import itertools
import json
from datetime import timedelta

import pytest

from app.ordering.client import OrderingClient
from app.ordering.order import RemoteOrder
from app.ordering.rules import Cause, NotSent, OrderingFailed, Refused, RemoteState, Unknown
from tests.ordering.conftest import free_port
from tests.ordering.factory import make_order
from tests.ordering.waiting import until

_numbers = itertools.count()


@pytest.fixture
def external_id():
    """An id that no other test uses, since all share one simulator."""
    return f"sale-{next(_numbers)}"


@pytest.fixture
async def client(simulator):
    """It waits for as long as a busy machine may take."""
    async with OrderingClient(simulator.base_url, time_limit=10) as client:
        yield client


@pytest.fixture
async def impatient(simulator):
    """For tests in which nobody answers in time."""
    async with OrderingClient(simulator.base_url, time_limit=1) as client:
        yield client


# --- when all goes well ---------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [0, 1])
@pytest.mark.parametrize("absolute", [True, False])
async def test_an_order_is_placed_found_and_read(
    simulator, client, external_id, accepted, absolute
):
    """201 or 202, absolute or relative href: to us it is the same."""
    simulator.dial(accepted=accepted, absolute_href=absolute, seconds_to_start=60)
    placed = await client.place(make_order(external_id=external_id))
    assert placed.state is RemoteState.ACKNOWLEDGED
    assert placed.external_id == external_id
    assert placed.href == f"{simulator.base_url}/productOrder/{placed.id}"
    assert await client.find(external_id) == placed
    assert await client.get(placed.id) == placed
    assert [each["id"] for each in simulator.orders(external_id)] == [placed.id]


async def test_what_is_not_there_is_none(client):
    assert await client.find("never sent") is None
    assert await client.get("00000000") is None
    assert await client.get("no/such?id") is None


@pytest.mark.parametrize("odd", ["a,b", "a&state=x", "100%", "装维 1", "a+b", "a/b"])
async def test_ids_with_odd_characters_come_through(client, external_id, odd):
    placed = await client.place(make_order(external_id=external_id + odd))
    found = await client.find(external_id + odd)
    assert found is not None
    assert found.id == placed.id


async def test_a_doubled_order_is_seen_as_two_and_the_oldest_counts(client, external_id):
    """The simulator takes an externalId twice, as real systems do."""
    first = await client.place(make_order(external_id=external_id))
    second = await client.place(make_order(external_id=external_id))
    assert [order.id for order in await client.find_all(external_id)] == [first.id, second.id]
    found = await client.find(external_id)
    assert found is not None
    assert found.id == first.id


@pytest.mark.parametrize(
    ("dial", "state", "reason"),
    [
        ("rejected", RemoteState.REJECTED, "No free port at this address"),
        ("cancelled", RemoteState.CANCELLED, "Cancelled by the customer"),
        ("failed", RemoteState.FAILED, "The line could not be activated"),
    ],
)
async def test_the_reason_of_a_bad_end_is_read(simulator, client, external_id, dial, state, reason):
    simulator.dial(**{dial: 1}, seconds_to_start=0, seconds_to_complete=0)
    placed = await client.place(make_order(external_id=external_id, note="our own note"))
    ended = await until_state(client, placed.id, state)
    assert ended.reason == reason


async def until_state(client: OrderingClient, order_id: str, state: RemoteState) -> RemoteOrder:
    for _ in range(200):
        order = await client.get(order_id)
        if order is not None and order.state is state:
            return order
        await asyncio.sleep(0.02)
    raise AssertionError(f"{order_id} did not become {state}")


# --- what each fault means, and what it did -------------------------------------------------------


@pytest.mark.parametrize(
    ("dials", "error", "cause", "orders"),
    [
        ({"too_many": 1, "retry_after_seconds": 7}, NotSent, Cause.BUSY, 0),
        ({"error_before": 1}, Unknown, Cause.SERVER_ERROR, 0),
        ({"error_after": 1}, Unknown, Cause.SERVER_ERROR, 1),
        ({"hang_after": 1}, Unknown, Cause.TIMED_OUT, 1),
        ({"cut_after": 1}, Unknown, Cause.CUT, 1),
        ({"cut_midway": 1}, Unknown, Cause.CUT, 1),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_fault_is_told_by_its_meaning_for_the_order(
    simulator, client, impatient, external_id, dials, error, cause, orders
):
    """500 before and after the effect look the same to us; that is why we look before resending."""
    simulator.dial(**dials)
    with pytest.raises(error) as failed:
        await impatient.place(make_order(external_id=external_id))
    assert failed.value.cause is cause
    assert len(simulator.orders(external_id)) == orders
    assert simulator.posts(external_id) == 1
    simulator.dial()
    found = await client.find(external_id)
    assert (found is not None) is bool(orders)


async def test_retry_after_is_read(simulator, client, external_id):
    simulator.dial(too_many=1, retry_after_seconds=7)
    with pytest.raises(NotSent) as failed:
        await client.place(make_order(external_id=external_id))
    assert failed.value.retry_after == timedelta(seconds=7)


async def test_an_order_that_is_slow_to_take_effect_is_unknown_and_appears_later(
    simulator, client, impatient, external_id
):
    """Looking at once finds nothing, yet the order comes: the reason for RetryNumbers.settle."""
    simulator.dial(delay_seconds=3)
    with pytest.raises(Unknown) as failed:
        await impatient.place(make_order(external_id=external_id))
    assert failed.value.cause is Cause.TIMED_OUT
    assert await client.find(external_id) is None
    await until(lambda: simulator.orders(external_id), "taking effect")
    assert await client.find(external_id) is not None


async def test_a_failing_search_concludes_nothing(simulator, client, external_id):
    placed = await client.place(make_order(external_id=external_id))
    simulator.dial(error_on_read=1)
    for look in (client.find(external_id), client.get(placed.id)):
        with pytest.raises(Unknown):
            await look


async def test_nobody_listening_is_surely_without_effect():
    async with OrderingClient(f"http://127.0.0.1:{free_port()}") as client:
        with pytest.raises(NotSent) as failed:
            await client.place(make_order())
    assert failed.value.cause is Cause.UNREACHABLE


@pytest.mark.parametrize("address", ["not-an-address", "ftp://crm.example", "http://", ""])
async def test_a_setting_that_is_no_address_is_surely_without_effect(address):
    async with OrderingClient(address) as client:
        with pytest.raises(NotSent):
            await client.place(make_order())


async def test_the_bearer_token_opens_and_its_absence_is_not_the_orders_fault(make_simulator):
    simulator = make_simulator()
    simulator.start({"token": "open sesame"})
    async with OrderingClient(simulator.base_url, token="open sesame") as client:
        assert (await client.place(make_order())).id
    async with OrderingClient(simulator.base_url, token="wrong") as client:
        with pytest.raises(NotSent) as failed:
            await client.place(make_order())
    assert failed.value.cause is Cause.SIGN_IN
    assert len(simulator.orders()) == 1


# --- answers nobody expects -----------------------------------------------------------------------


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Write an HTTP/1.1 answer byte by byte."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def json_of(value: object) -> bytes:
    return json.dumps(value).encode()


ORDER = {"id": "7", "externalId": "0195-sale-1", "state": "acknowledged"}
TMF_ERROR = json_of({"code": "21", "reason": "No such offering", "message": "FTTR-1000"})


@pytest.mark.parametrize(
    ("reply", "error", "cause"),
    [
        # Success that cannot be read: it was taken, so look.
        (answer(201, b"<html>welcome</html>"), Unknown, Cause.UNREADABLE),
        (answer(201, b"{}"), Unknown, Cause.UNREADABLE),
        (answer(201, b"[]"), Unknown, Cause.UNREADABLE),
        (answer(201, b"[" * 100_000), Unknown, Cause.UNREADABLE),
        (answer(201), Unknown, Cause.UNREADABLE),
        (answer(201, b" " * 2000 + json_of(ORDER)), Unknown, Cause.UNREADABLE),
        (answer(201, json_of(ORDER | {"externalId": "other"})), Unknown, Cause.UNREADABLE),
        (
            answer(201, gzip.compress(json_of(ORDER)), Content_Encoding="gzip"),
            Unknown,
            Cause.UNREADABLE,
        ),
        (answer(204), Unknown, Cause.UNREADABLE),
        # No HTTP at all, or half of it.
        (b"220 smtp.example ready\r\n", Unknown, Cause.CUT),
        (b"", Unknown, Cause.CUT),
        (b"HTTP/1.1 201 Cre", Unknown, Cause.CUT),
        (answer(201, json_of(ORDER))[:-5], Unknown, Cause.CUT),
        # Refusals, with and without words.
        (answer(400, TMF_ERROR), Refused, Cause.REFUSED),
        (answer(422, b"no"), Refused, Cause.REFUSED),
        (answer(404, TMF_ERROR), Refused, Cause.REFUSED),
        (answer(400, b'{"error": "no such offering"}'), Refused, Cause.REFUSED),
        (answer(422, b"x" * 5000), Refused, Cause.REFUSED),
        # A gateway in between, or our own credentials: no fault of the order.
        (answer(404, b"<h1>Not Found</h1>"), NotSent, Cause.WRONG_ADDRESS),
        (answer(405), NotSent, Cause.WRONG_ADDRESS),
        (answer(302, Location="https://login.example/"), NotSent, Cause.WRONG_ADDRESS),
        (answer(401), NotSent, Cause.SIGN_IN),
        (answer(403, TMF_ERROR), NotSent, Cause.SIGN_IN),
        (answer(429), NotSent, Cause.BUSY),
        # Whoever takes the connections did not understand the bytes; nobody judged the order.
        (answer(400, b"Invalid HTTP request received."), Unknown, Cause.UNREADABLE),
        (answer(400, b"<h1>Bad Request</h1>"), Unknown, Cause.UNREADABLE),
        (answer(400), Unknown, Cause.UNREADABLE),
        # It may be there already, or may yet come.
        (answer(408), Unknown, Cause.TIMED_OUT),
        (answer(409, TMF_ERROR), Unknown, Cause.CONFLICT),
        (answer(502, b"<h1>Bad Gateway</h1>"), Unknown, Cause.SERVER_ERROR),
        (answer(503), Unknown, Cause.SERVER_ERROR),
    ],
)
async def test_what_an_odd_answer_to_a_post_means(raw_server, reply, error, cause):
    raw_server.answer = reply
    async with OrderingClient(raw_server.url, time_limit=2, body_limit=2000) as client:
        with pytest.raises(OrderingFailed) as failed:
            await client.place(make_order())
    assert (type(failed.value), failed.value.cause) == (error, cause)
    assert len(failed.value.said) <= 300
    assert failed.value.said.isprintable()


@pytest.mark.parametrize(
    ("reply", "id_"),
    [
        (answer(201, json_of(ORDER)), "7"),
        (answer(200, json_of(ORDER)), "7"),
        (answer(202, json_of({"id": "7"})), "7"),
        (answer(202, json_of({"href": "/v4/productOrder/8"})), "8"),
        (answer(202, Location="/v4/productOrder/9"), "9"),
        (answer(204, Location="https://crm.example/v4/productOrder/9"), "9"),
    ],
)
async def test_success_in_every_dress(raw_server, reply, id_):
    raw_server.answer = reply
    async with OrderingClient(raw_server.url) as client:
        assert (await client.place(make_order())).id == id_


async def test_the_reason_of_a_refusal_is_told_in_its_own_words(raw_server):
    raw_server.answer = answer(400, TMF_ERROR)
    async with OrderingClient(raw_server.url) as client:
        with pytest.raises(Refused) as failed:
            await client.place(make_order())
    assert failed.value.said == "No such offering: FTTR-1000"
    assert "No such offering" in failed.value.detail("zh")
    assert failed.value.facts["answered"] == 400


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30),
        ("0", 0),
        ("9" * 40, 999_999_999),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),  # long past
        ("soon", None),
        ("-5", None),
        ("１２", None),
    ],
)
async def test_retry_after_in_every_dress(raw_server, header, seconds):
    raw_server.answer = answer(503, Retry_After=header)
    async with OrderingClient(raw_server.url) as client:
        with pytest.raises(Unknown) as failed:
            await client.place(make_order())
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert failed.value.retry_after == expected


async def test_an_answer_that_drips_is_cut_off_in_time(raw_server):
    """Each byte comes quickly enough; the whole does not."""
    raw_server.answer = answer(201, b"x" * 10)[:-5]
    raw_server.hold_open = 30
    began = asyncio.get_running_loop().time()
    async with OrderingClient(raw_server.url, time_limit=0.5) as client:
        with pytest.raises(Unknown) as failed:
            await client.place(make_order())
    assert failed.value.cause is Cause.TIMED_OUT
    assert asyncio.get_running_loop().time() - began < 3


@pytest.mark.parametrize(
    ("reply", "error", "cause"),
    [
        # The filter was ignored: we see a page of others' orders, and ours may be on the next.
        (answer(200, json_of([ORDER | {"externalId": "x"}])), Unknown, Cause.FILTER_IGNORED),
        (answer(200, json_of([{"id": "1"}])), Unknown, Cause.FILTER_IGNORED),
        (answer(200, json_of(ORDER)), Unknown, Cause.UNREADABLE),
        (answer(200, json_of([{"state": "held"}])), Unknown, Cause.UNREADABLE),
        (answer(200, b"oops"), Unknown, Cause.UNREADABLE),
        (answer(404, b"<h1>Not Found</h1>"), NotSent, Cause.WRONG_ADDRESS),
        (answer(500), Unknown, Cause.SERVER_ERROR),
        (answer(401), NotSent, Cause.SIGN_IN),
    ],
)
async def test_a_search_that_cannot_be_trusted_never_says_none(raw_server, reply, error, cause):
    raw_server.answer = reply
    async with OrderingClient(raw_server.url) as client:
        with pytest.raises(OrderingFailed) as failed:
            await client.find("0195-sale-1")
    assert (type(failed.value), failed.value.cause) == (error, cause)


@pytest.mark.parametrize("reply", [answer(200, b"[]"), answer(204), answer(404, TMF_ERROR)])
async def test_a_search_without_a_hit_in_every_dress(raw_server, reply):
    raw_server.answer = reply
    async with OrderingClient(raw_server.url) as client:
        assert await client.find("0195-sale-1") is None


async def test_what_is_sent(raw_server):
    """The request as it stands on the wire: percent-encoded query, token, id of the request."""
    raw_server.answer = answer(200, b"[]")
    async with OrderingClient(
        raw_server.url + "/v4/", token="t", request_id=lambda: "r-1"
    ) as client:
        await client.find("a,b/装")
    ((line, headers, _),) = raw_server.received
    assert line == (
        "GET /v4/productOrder?externalId=a%2Cb%2F%E8%A3%85&fields=id%2Chref%2CexternalId%2Cstate"
        "%2CorderDate%2CcancellationReason%2Cnote%2CproductOrderItem&limit=50 HTTP/1.1"
    )
    assert headers["authorization"] == "Bearer t"
    assert headers["x-request-id"] == "r-1"


async def test_each_request_has_an_id_of_its_own_and_a_failure_names_it(raw_server):
    raw_server.answer = answer(500)
    sent_as = []
    async with OrderingClient(raw_server.url) as client:
        for _ in range(2):
            with pytest.raises(Unknown) as failed:
                await client.place(make_order())
            sent_as.append(failed.value.facts["sent_as"])
    assert sent_as == [headers["x-request-id"] for _, headers, _ in raw_server.received]
    assert sent_as[0] != sent_as[1]
