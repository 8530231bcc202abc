"""Ways of telling the other side who we are, the pace of requests, and the breaker."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr

from app.core import signing
from app.core.clock import wall
from app.core.settings import Settings
from app.ordering.client import OrderingClient
from app.ordering.client.sign_in import ClientCredentials, Signature, Token, sign_in_of, tls_of
from app.ordering.courier.breaker import Breakers, standings
from app.ordering.delivery import Endpoint
from app.ordering.rules import Cause, NotSent, Unknown
from tests.ordering.conftest import bare_answer
from tests.ordering.delivering import set_numbers
from tests.ordering.factory import make_order

NOW = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
SECRET = b"s" * 32
WRITTEN = "whsec_" + base64.b64encode(SECRET).decode()


def test_a_signature_is_known_as_the_standard_computes_it():
    # The example of the Standard Webhooks specification.
    secret = signing.secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    at = datetime.fromtimestamp(1614265330, UTC)
    headers = signing.sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body)
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signing.is_signed(secret, headers, body, at)


@pytest.mark.parametrize(
    ("changes", "body", "later"),
    [
        ({}, b"other", 0),
        ({"webhook-id": "other"}, b"{}", 0),
        ({"webhook-timestamp": "later"}, b"{}", 0),
        ({"webhook-signature": "v1,"}, b"{}", 0),
        ({"webhook-signature": "v2,abc"}, b"{}", 0),
        ({}, b"{}", 301),
        ({}, b"{}", -301),
    ],
)
def test_what_is_forged_changed_or_old_is_not_signed(changes, body, later):
    headers = signing.sign(SECRET, "m", NOW, b"{}") | changes
    assert not signing.is_signed(SECRET, headers, body, NOW + timedelta(seconds=later))


def test_one_of_several_signatures_is_enough_while_a_secret_changes():
    headers = signing.sign(SECRET, "m", NOW, b"{}")
    headers["webhook-signature"] = "v1,AAAA " + headers["webhook-signature"]
    assert signing.is_signed(SECRET, headers, b"{}", NOW)


@pytest.mark.parametrize("written", ["whsec_!", "whsec_" + "YQ==", ""])
def test_what_is_no_secret_is_refused(written):
    with pytest.raises(ValueError, match="secret"):
        signing.secret_of(written)


def test_the_settings_choose_how_we_sign_in():
    assert isinstance(sign_in_of(Settings(), None), Token)
    signed = Settings(ordering_sign_in="signature", ordering_signing_secret=SecretStr(WRITTEN))
    assert isinstance(sign_in_of(signed, None), Signature)
    assert tls_of(Settings()) is None


async def test_requests_are_signed_over_what_is_sent(raw_server):
    raw_server.answer = answer(201, {"id": "7"})
    async with OrderingClient(raw_server.url, sign_in=Signature(SECRET)) as client:
        await client.cancel("7", "why", NOW)
    _, headers, body = raw_server.received[0]
    assert signing.is_signed(SECRET, headers, body, datetime.now(UTC))


def answer(status: int, body: object) -> bytes:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    return head.encode() + content


async def test_a_token_is_fetched_once_and_anew_once_when_it_is_turned_away(raw_server):
    raw_server.answer = answer(200, {"access_token": "abc", "expires_in": 3600})
    credentials = ClientCredentials(raw_server.url, client_id="us", client_secret="s")
    assert await credentials.headers(b"") == {"Authorization": "Bearer abc"}
    assert await credentials.headers(b"") == {"Authorization": "Bearer abc"}
    assert len(raw_server.received) == 1
    assert b"grant_type=client_credentials" in raw_server.received[0][2]
    assert credentials.turned_away()
    raw_server.answer = answer(200, {"access_token": "def", "expires_in": "20"})
    assert await credentials.headers(b"") == {"Authorization": "Bearer def"}
    await credentials.aclose()


async def test_without_a_token_nothing_is_sent(raw_server):
    raw_server.answer = answer(403, {"error": "no"})
    credentials = ClientCredentials(raw_server.url, client_id="us", client_secret="s")
    async with OrderingClient(raw_server.url, sign_in=credentials) as client:
        with pytest.raises(NotSent) as failed:
            await client.get("7")
    assert failed.value.cause is Cause.SIGN_IN
    assert [line for line, _, _ in raw_server.received] == ["POST / HTTP/1.1"]


async def test_a_request_that_is_turned_away_is_sent_once_more_with_a_new_token(raw_server):
    class Fresh(Token):
        left = 1

        def turned_away(self) -> bool:
            self.left -= 1
            return self.left >= 0

    raw_server.answer = bare_answer(401)
    async with OrderingClient(raw_server.url, sign_in=Fresh("x")) as client:
        with pytest.raises(NotSent):
            await client.get("7")
    assert len(raw_server.received) == 2


async def test_requests_leave_at_the_pace_that_was_set(raw_server):
    raw_server.answer = answer(404, {"code": "60", "reason": "none"})
    now = asyncio.get_running_loop().time
    async with OrderingClient(raw_server.url, requests_per_second=50) as client:
        began = now()
        # Asked for all at once, whatever for.
        await asyncio.gather(*(client.get("7") for _ in range(5)), client.find_all("8"))
        assert 0.1 <= now() - began < 2
        # What waits for its turn too long is not sent.
        with pytest.raises(NotSent) as late:
            await client.place(make_order(), by=wall() - timedelta(seconds=1))
        assert late.value.cause is Cause.TOO_LATE
    assert len(raw_server.received) == 6


async def test_a_breaker_opens_is_tried_out_and_closes(real_database):
    async with real_database.begin() as tx:
        await set_numbers(
            tx, {"ordering.breaker_failures": 3, "ordering.breaker_pause_seconds": 0.1}
        )
    one = Breakers(real_database, probe_seconds=60)
    other = Breakers(real_database, probe_seconds=60)
    silent = Unknown(Cause.TIMED_OUT)
    for _ in range(2):
        await one.note(Endpoint.PLACE, silent)
    # Whoever turns an order down is there, and so is whoever asks for patience.
    await one.note(Endpoint.PLACE, Unknown(Cause.CONFLICT))
    await one.note(Endpoint.PLACE, NotSent(Cause.BUSY))
    for _ in range(3):
        assert await one.lets_pass(Endpoint.PLACE) is True
        await one.note(Endpoint.PLACE, silent)
    assert await one.lets_pass(Endpoint.ASK) is True
    async with real_database.read() as read:
        (standing, *_) = await standings(read)
    assert (standing.endpoint, standing.times_opened) == (Endpoint.PLACE, 1)
    assert standing.last_error == "timed_out: the ordering system did not answer in time"
    passes = [await one.lets_pass(Endpoint.PLACE)]
    while passes[-1] is False:
        passes.append(await one.lets_pass(Endpoint.PLACE))
    assert passes[-1] is None
    assert await other.lets_pass(Endpoint.PLACE) is False, "one tries it out, not two"
    assert await one.lets_pass(Endpoint.PLACE) is False, "not twice by one either"
    # What was put off, and what there was nothing to do for, has found nothing out: the next tries.
    await one.note(Endpoint.PLACE, NotSent(Cause.BUSY))
    assert await other.lets_pass(Endpoint.PLACE) is None
    await other.tell_nothing(Endpoint.PLACE)
    assert await one.lets_pass(Endpoint.PLACE) is None
    await one.note(Endpoint.PLACE, silent)
    assert await one.lets_pass(Endpoint.PLACE) is False
    while await one.lets_pass(Endpoint.PLACE) is False:
        pass
    await one.note(Endpoint.PLACE, None)
    assert await one.lets_pass(Endpoint.PLACE) is True
    async with real_database.read() as read:
        (standing, *_) = await standings(read)
    assert standing.open_until is None
