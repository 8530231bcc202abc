"""The client against a running simulator with each dial, and against one that speaks nonsense."""

import pytest
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from app.activation.client import ActivationClient, Ask
from app.activation.rules import (
    ActivationCode,
    ActivationState,
    Answered,
    LineNotKnown,
    LineTestUnavailable,
)
from app.core.db import new_id
from app.core.outside import Failed, Failure
from app.core.simulating import as_json
from tests.activation.conftest import TOKEN
from tests.make.platforms import served

PROVISIONED = Answered(ActivationState.PROVISIONED)


def an_ask(**given):
    plain = {
        "id": new_id(),
        "loid": "SZ01",
        "service_number": None,
        "serial_number": "HWTC-1",
        "order_number": "F1",
        "offering_code": None,
        "speed_mbps": None,
    }
    return Ask(**{**plain, **given})


@pytest.fixture
async def client(platform):
    async with ActivationClient(platform.url, token=TOKEN, time_limit=1.5) as client:
        yield client


async def test_a_line_is_opened_once_however_often_the_key_comes(platform, client):
    ask = an_ask()
    assert await client.find(ask.id) is None
    assert await client.ask(ask) == PROVISIONED
    assert await client.ask(ask) == PROVISIONED
    assert await client.find(ask.id) == PROVISIONED
    assert platform.asks() == [("HWTC-1", None, 1)]


async def test_what_takes_long_is_in_progress(platform, client):
    platform.dial(seconds_to_finish=60)
    assert await client.ask(an_ask()) == Answered(ActivationState.UNDER_WAY)


@pytest.mark.parametrize(
    "code", ["loid_unknown", "serial_taken", "no_light", "profile_missing", "platform_busy"]
)
async def test_each_code_of_the_platform_is_understood(platform, client, code):
    platform.dial(**{code: 1})
    answered = await client.ask(an_ask())
    assert (answered.state, answered.code) == (ActivationState.FAILED, ActivationCode(code))
    assert answered.said


async def test_a_terminal_on_another_line_is_taken(client):
    await client.ask(an_ask(loid="SZ01"))
    assert (await client.ask(an_ask(loid="SZ02"))).code is ActivationCode.SERIAL_TAKEN


@pytest.mark.parametrize(
    "dial, failure",
    [
        ("too_many", Failure.NOT_SENT),
        ("error_before", Failure.UNKNOWN),
        ("error_after", Failure.UNKNOWN),
        ("hang_after", Failure.UNKNOWN),
        ("cut_after", Failure.UNKNOWN),
    ],
)
async def test_every_fault_gets_its_meaning(platform, client, dial, failure):
    platform.dial(**{dial: 1, "retry_after_seconds": 7})
    with pytest.raises(Failed) as failed:
        await client.ask(an_ask())
    assert failed.value.failure is failure
    if dial == "too_many":
        assert failed.value.retry_after is not None
        assert failed.value.retry_after.total_seconds() == 7


async def test_nobody_there_and_a_wrong_token_mean_that_nothing_was_sent(platform):
    async with ActivationClient("http://127.0.0.1:1/x", time_limit=0.5) as nobody:
        with pytest.raises(Failed) as failed:
            await nobody.ask(an_ask())
        assert failed.value.failure is Failure.NOT_SENT
    async with ActivationClient(platform.url, token="wrong", time_limit=0.5) as stranger:
        with pytest.raises(Failed) as failed:
            await stranger.ask(an_ask())
        assert failed.value.failure is Failure.NOT_SENT
    assert platform.posts() == 0


async def test_a_line_is_tested(platform, client):
    test = await client.test_line("SZ01")
    assert test.online
    assert -25 <= test.optical_rx_power_dbm <= -15
    assert test.tested_at is not None
    platform.dial(offline=1)
    assert (await client.test_line(service_number="0755")).optical_rx_power_dbm is None
    platform.dial(line_unknown=1)
    with pytest.raises(LineNotKnown):
        await client.test_line("SZ01")
    platform.dial(delay_seconds=5)
    with pytest.raises(LineTestUnavailable) as away:
        await client.test_line("SZ01")
    assert away.value.facts["retry_after"] == 10


ODD = {
    "no json": Response("<html>", media_type="text/html"),
    "a list": as_json([]),
    "no such state": as_json({"state": "maybe"}),
    "a gateway": Response("<html>not found</html>", 404, media_type="text/html"),
    "moved": Response(status_code=302, headers={"location": "/elsewhere"}),
    "too large": as_json({"state": "provisioned", "message": "x" * 2_000_000}),
    "another code": as_json({"state": "failed", "code": "E-4711", "message": "\x07Fibre\ncut"}),
    "turned down": as_json({"code": "invalid", "message": "no such profile"}, 422),
}


@pytest.fixture(scope="module")
def odd_origin():
    """A server that gives one odd answer to everything."""

    async def give(request):
        return ODD[request.path_params["which"].replace("-", " ")]

    routes = [Route("/{which}/{rest:path}", give, methods=["GET", "POST"])]
    with served(Starlette(routes=routes)) as origin:
        yield origin


@pytest.fixture
def odd(odd_origin):
    """Make a client that gets one odd answer."""
    return lambda which: ActivationClient(f"{odd_origin}/{which.replace(' ', '-')}", time_limit=2)


@pytest.mark.parametrize(
    "which, failure",
    [
        ("no json", Failure.UNKNOWN),
        ("a list", Failure.UNKNOWN),
        ("no such state", Failure.UNKNOWN),
        ("too large", Failure.UNKNOWN),
        ("a gateway", Failure.NOT_SENT),
        ("moved", Failure.NOT_SENT),
        ("turned down", Failure.REFUSED),
    ],
)
async def test_nonsense_is_never_taken_for_an_answer(odd, which, failure):
    async with odd(which) as client:
        with pytest.raises(Failed) as failed:
            await client.ask(an_ask())
        assert failed.value.failure is failure
        with pytest.raises(Failed):
            # A gateway that knows no such path does not say that the ask is not there.
            await client.find(new_id())
        with pytest.raises(LineTestUnavailable):
            await client.test_line("SZ01")


async def test_a_code_nobody_knows_is_shown_in_the_platforms_own_words(odd):
    async with odd("another code") as client:
        answered = await client.ask(an_ask())
    assert answered == Answered(ActivationState.FAILED, ActivationCode.OTHER, "Fibre cut")
