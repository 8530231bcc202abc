"""The simulator as a TMF622 v4 system: orders, searches, its hub, and callbacks by its dials."""

import asyncio
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator
from pydantic import ValidationError

from app.ordering.client.codec_v4 import body_of
from app.ordering.client.reading import read_event
from app.ordering.rules import RemoteState, Source, Verdict, follow
from app.ordering.simulator.dials import Dials, Fault, fault_of, steps_of
from tests.ordering.conftest import bare_answer
from tests.ordering.factory import make_order
from tests.ordering.waiting import until

_numbers = itertools.count()


def new_id() -> str:
    """An externalId that no other test uses, since all share one simulator."""
    return f"order-{next(_numbers)}"


def body(external_id: str | None = None) -> dict[str, Any]:
    return body_of(make_order(external_id=external_id or new_id()))


@pytest.fixture
async def http(simulator):
    async with httpx.AsyncClient(base_url=simulator.base_url, timeout=10) as http:
        yield http


# --- what it is -----------------------------------------------------------------------------------


async def test_it_says_what_it_is_everywhere(simulator, http):
    who = (await http.get(simulator.origin + "/")).json()
    assert who["name"] == "Yingwei ordering simulator"
    paths = ["/productOrder", "/productOrder/none", "/nothing"]
    for answer in [await http.get(simulator.base_url + path) for path in paths]:
        assert answer.headers.get_list("server") == ["Yingwei ordering simulator"]


# --- orders ---------------------------------------------------------------------------------------


async def test_answers_are_valid_by_the_published_schema(simulator, http, tmf622_v4):
    simulator.dial(partial=1, seconds_to_start=0, seconds_to_complete=0)
    definitions = tmf622_v4["definitions"]
    order = Draft4Validator({"$ref": "#/definitions/ProductOrder", "definitions": definitions})
    error = Draft4Validator({"$ref": "#/definitions/Error", "definitions": definitions})
    placed = await http.post("/productOrder", json=body())
    order.validate(placed.json())
    assert placed.headers["location"] == placed.json()["href"]
    id_ = placed.json()["id"]
    await until(lambda: httpx.get(placed.json()["href"]).json()["state"] == "failed")
    order.validate((await http.get(f"/productOrder/{id_}")).json())
    error.validate((await http.get("/productOrder/none")).json())
    error.validate((await http.post("/productOrder", json={})).json())


async def test_it_shows_which_orders_are_installed_by_whoever_sold_them(simulator, http):
    told, plain = body(), body()
    told["productOrderItem"][0]["product"]["productCharacteristic"] = [
        {"name": "install_order", "valueType": "string", "value": "7"}
    ]
    for each in (told, plain):
        await http.post("/productOrder", json=each)
    (known,), (other,) = map(simulator.orders, (told["externalId"], plain["externalId"]))
    assert (known["installOrder"], other["installOrder"]) == ("7", None)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"productOrderItem": None}, "productOrderItem is mandatory"),
        ({"productOrderItem": []}, "productOrderItem is mandatory"),
        ({"productOrderItem": ["x"]}, "productOrderItem[0] must be an object"),
        ({"productOrderItem": [{"action": "add"}]}, "productOrderItem[0].id is mandatory"),
        ({"productOrderItem": [{"id": "1"}]}, "productOrderItem[0].action is mandatory"),
        ({"productOrderItem": [{"id": "1", "action": "sell"}]}, "must be one of add"),
        ({"productOrderItem": [{"id": "1", "action": "add"}]}, "productOffering is mandatory"),
        (
            {"productOrderItem": [{"id": "1", "action": "add", "productOffering": {"name": "x"}}]},
            "productOrderItem[0].productOffering.id is mandatory",
        ),
        (
            {"productOrderItem": [{"id": "1", "action": "noChange", "quantity": 0}]},
            "quantity must be a whole number above 0",
        ),
        (
            {"productOrderItem": [{"id": "1", "action": "noChange"}] * 2},
            "productOrderItem.id must be unique",
        ),
        (
            {
                "productOrderItem": [
                    {"id": "1", "action": "noChange", "product": {"place": [{"id": "a"}]}}
                ]
            },
            "product.place.role is mandatory",
        ),
        ({"relatedParty": [{"id": "c-1"}]}, "relatedParty.@referredType is mandatory"),
        ({"relatedParty": {}}, "relatedParty must be a list"),
        ({"channel": [{"name": "visit"}]}, "channel.id is mandatory"),
        ({"note": [{"author": "x"}]}, "note.text is mandatory"),
        ({"externalId": 7}, "externalId must be a text"),
        ({"requestedStartDate": "tomorrow"}, "requestedStartDate must be a date-time"),
        ({"state": "completed"}, "state is set by this system"),
    ],
)
async def test_a_bad_order_is_refused_with_its_fault(simulator, http, changes, complaint):
    before = simulator.counts()["orders"]
    answer = await http.post("/productOrder", json=body() | changes)
    assert answer.status_code == 400
    assert complaint in answer.json()["message"]
    assert simulator.counts()["orders"] == before


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"[]", 400),
        (b"[" * 50_000, 400),
        (b"\xff", 400),
        (b" " * 1_000_001, 413),
    ],
)
async def test_what_is_no_order_at_all_is_refused(http, content, status):
    answer = await http.post("/productOrder", content=content)
    assert answer.status_code == status
    assert answer.json()["code"]


async def test_two_posts_make_two_orders(simulator, http):
    """Like a real system it does not compare externalIds, so a doubling on our side shows."""
    external_id = new_id()
    ids = {(await http.post("/productOrder", json=body(external_id))).json()["id"] for _ in "12"}
    assert len(ids) == 2
    assert {each["id"] for each in simulator.orders(external_id)} == ids
    assert simulator.posts(external_id) == 2
    assert simulator.counts()["doubled_external_ids"] >= 1


async def test_searching_by_external_id_state_and_day_in_pages(make_simulator):
    simulator = make_simulator()
    simulator.start(rejected=0, seconds_to_start=0, seconds_to_complete=3600)
    async with httpx.AsyncClient(base_url=simulator.base_url) as http:
        for number in range(5):
            await http.post("/productOrder", json=body(f"s-{number}"))
        await until(lambda: simulator.counts()["by_state"] == {"inProgress": 5})

        async def search(**query: str) -> list[str]:
            answer = await http.get("/productOrder", params=query)
            return [each["externalId"] for each in answer.json()]

        assert await search(externalId="s-3") == ["s-3"]
        assert await search(externalId="s-9") == []
        assert await search(state="inProgress,held", externalId="s-1") == ["s-1"]
        assert await search(state="completed") == []
        page = await http.get("/productOrder", params={"offset": "1", "limit": "2"})
        assert [each["externalId"] for each in page.json()] == ["s-1", "s-2"]
        assert page.status_code == 206
        assert (page.headers["x-total-count"], page.headers["x-result-count"]) == ("5", "2")
        now, hour = datetime.now(UTC), timedelta(hours=1)
        day = {"orderDate.gte": str(now - hour), "orderDate.lt": str(now + hour)}
        assert len(await search(**day)) == 5
        assert await search(**{"orderDate.gte": str(now + hour)}) == []
        only = await http.get("/productOrder", params={"externalId": "s-0", "fields": "state"})
        assert set(only.json()[0]) == {"id", "href", "state"}


@pytest.mark.parametrize(
    "query", [{"limit": "-1"}, {"offset": "x"}, {"orderDate.gte": "today"}, {"colour": "red"}]
)
async def test_a_search_it_does_not_understand_is_refused(http, query):
    assert (await http.get("/productOrder", params=query)).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("DELETE", "/productOrder", 405),
        ("GET", "/productOrder/1e9", 404),
        ("GET", "/productOrder/7", 404),  # ids are eight digits; 7 is not 00000007
        ("GET", "/elsewhere", 404),
        ("DELETE", "/hub/none", 404),
    ],
)
async def test_other_requests_are_refused_in_the_shape_of_tmf(http, method, path, status):
    answer = await http.request(method, path)
    assert answer.status_code == status
    assert answer.json()["status"] == str(status)


# --- dials ----------------------------------------------------------------------------------------


async def test_dials_are_read_and_changed_while_it_runs(simulator, http):
    dials = simulator.origin + "/_simulator/dials"
    assert (await http.put(dials, json={"delay_seconds": 0.3})).json()["delay_seconds"] == 0.3
    began = asyncio.get_running_loop().time()
    await http.post("/productOrder", json=body())
    assert asyncio.get_running_loop().time() - began >= 0.3
    # What is left out of a PUT returns to its default.
    assert (await http.put(dials, json={})).json() == Dials().model_dump()


@pytest.mark.parametrize(
    "bad",
    [
        {"error_before": 1.5},
        {"colour": 1},
        {"delay_seconds": -1},
        [],
        {"error_before": 0.6, "hang_after": 0.6},
        {"rejected": 0.6, "partial": 0.6},
    ],
)
async def test_dials_that_make_no_sense_are_refused_and_nothing_changes(simulator, http, bad):
    answer = await http.put(simulator.origin + "/_simulator/dials", json=bad)
    assert answer.status_code == 400
    with pytest.raises(ValidationError):
        Dials.model_validate(bad)
    assert (await http.get(simulator.origin + "/_simulator/dials")).json() == Dials().model_dump()


def test_draws_keep_their_shares_and_depend_on_seed_and_order_alone():
    dials = Dials(too_many=0.1, error_before=0.1, error_after=0.1, hang_after=0.1, cut_after=0.1)
    drawn = [fault_of(dials, f"s-{n}", 1) for n in range(20_000)]
    shares = Counter(drawn)
    for fault in (Fault.TOO_MANY, Fault.ERROR_BEFORE, Fault.ERROR_AFTER, Fault.HANG_AFTER):
        assert shares[fault] / len(drawn) == pytest.approx(0.1, abs=0.01)
    assert shares[None] / len(drawn) == pytest.approx(0.5, abs=0.02)
    assert drawn[:100] == [fault_of(dials, f"s-{n}", 1) for n in range(100)]
    other = dials.model_copy(update={"seed": 2})
    assert drawn[:100] != [fault_of(other, f"s-{n}", 1) for n in range(100)]
    # The second POST of an order draws anew, so no order is unlucky for ever.
    assert drawn[:100] != [fault_of(dials, f"s-{n}", 2) for n in range(100)]


@pytest.mark.parametrize(
    ("dials", "items", "states"),
    [
        ({}, 1, ["inProgress", "completed"]),
        ({"held": 1}, 1, ["inProgress", "held", "inProgress", "completed"]),
        ({"rejected": 1}, 1, ["rejected"]),
        ({"rejected": 1, "held": 1}, 1, ["rejected"]),
        ({"cancelled": 1}, 1, ["inProgress", "cancelled"]),
        ({"failed": 1}, 2, ["inProgress", "failed"]),
        ({"partial": 1}, 2, ["inProgress", "partial"]),
        ({"partial": 1}, 1, ["inProgress", "failed"]),  # one item cannot be half delivered
    ],
)
def test_what_becomes_of_an_order(dials, items, states):
    plan = steps_of(Dials(**dials), "s-1", 1, items, now=100.0)
    assert [step.state for step in plan] == states
    assert [step.due for step in plan] == sorted(step.due for step in plan)
    assert plan[0].due == pytest.approx(100.2)
    assert states == ["rejected"] or plan[-1].due == pytest.approx(101)


# --- the hub and its callbacks --------------------------------------------------------------------


@pytest.fixture
async def listener(http, raw_server):
    """Our listener, registered on the simulator's hub for the time of a test."""
    hub = await http.post("/hub", json={"callback": raw_server.url + "/events"})
    assert hub.status_code == 201
    yield raw_server
    assert (await http.delete(f"/hub/{hub.json()['id']}")).status_code == 204


def states_of(events: list[dict[str, Any]]) -> list[str]:
    return [event["event"]["productOrder"]["state"] for event in events]


async def placed(http: httpx.AsyncClient, external_id: str | None = None) -> str:
    """Place an order and return its id."""
    answer = await http.post("/productOrder", json=body(external_id or new_id()))
    return str(answer.json()["id"])


@pytest.mark.parametrize(
    ("fault", "status", "taken"),
    [
        ("too_many", 429, False),
        ("error_before", 500, False),
        ("conflict_before", 409, False),
        ("error_after", 500, True),
        ("conflict_after", 409, True),
        ("cut_after", None, True),
    ],
)
async def test_an_amendment_and_a_cancellation_meet_what_an_order_meets(
    simulator, http, fault, status, taken
):
    simulator.dial(seconds_to_complete=60)
    order = (await http.post("/productOrder", json=body())).json()
    simulator.dial(seconds_to_complete=60, seconds_to_cancel=60, **{fault: 1})
    note = {"author": "we", "text": "come later"}
    for method, path, told in (
        ("PATCH", f"/productOrder/{order['id']}", {"note": [note]}),
        ("POST", "/cancelProductOrder", {"productOrder": {"id": order["id"]}}),
    ):
        try:
            assert (await http.request(method, path, json=told)).status_code == status
        except httpx.RemoteProtocolError:
            assert status is None
    simulator.dial()
    after = (await http.get(f"/productOrder/{order['id']}")).json()
    assert (note in after.get("note", [])) is taken
    query = {"productOrder.id": order["id"]}
    assert len((await http.get("/cancelProductOrder", params=query)).json()) == taken
    assert (after["state"] == "assessingCancellation") is taken


async def test_a_listener_hears_of_each_change_in_order(simulator, http, listener, tmf622_v4):
    simulator.dial(held=1, seconds_to_start=0.05, seconds_to_complete=0.35)
    mine = await placed(http)
    await until(lambda: len(listener.events(mine)) >= 5, "the fifth event")
    events = listener.events(mine)
    states = ["acknowledged", "inProgress", "held", "inProgress", "completed"]
    assert states_of(events) == states
    kinds = [event["eventType"] for event in events]
    assert kinds == ["ProductOrderCreateEvent"] + ["ProductOrderStateChangeEvent"] * 4
    assert len({event["eventId"] for event in events}) == 5
    times = [str(read_event(event).at) for event in events]
    assert times == sorted(times)
    definitions = tmf622_v4["definitions"]
    for kind, event in zip(kinds, events, strict=True):
        schema = {"$ref": f"#/definitions/{kind}", "definitions": definitions}
        Draft4Validator(schema).validate(event)
    line, headers, _ = listener.received[-1]
    assert line == "POST /events HTTP/1.1"
    assert headers["user-agent"] == "Yingwei ordering simulator"


async def test_registering_twice_or_wrongly_is_refused(http, listener):
    again = await http.post("/hub", json={"callback": listener.url + "/events"})
    assert again.status_code == 409
    wrong: list[Any] = [{}, [], {"callback": "ftp://x"}, {"callback": 7}]
    for body in [*wrong, {"callback": "http://x", "query": 1}]:
        assert (await http.post("/hub", json=body)).status_code == 400


async def test_a_listener_that_left_hears_nothing(simulator, http, raw_server):
    simulator.dial(seconds_to_start=0, seconds_to_complete=0)
    hub = await http.post("/hub", json={"callback": raw_server.url})
    await http.delete(f"/hub/{hub.json()['id']}")
    external_id = new_id()
    await http.post("/productOrder", json=body(external_id))
    await until(lambda: simulator.orders(external_id)[0]["state"] == "completed")
    await asyncio.sleep(0.2)
    assert raw_server.received == []


async def test_a_listener_may_ask_for_some_kinds_of_event_only(simulator, http, raw_server):
    simulator.dial(seconds_to_start=0, seconds_to_complete=0)
    wish = {"callback": raw_server.url, "query": "eventType=ProductOrderStateChangeEvent"}
    hub = await http.post("/hub", json=wish)
    mine = await placed(http)
    await until(lambda: len(raw_server.events(mine)) >= 2)
    await http.delete(f"/hub/{hub.json()['id']}")
    assert states_of(raw_server.events(mine)) == ["inProgress", "completed"]


async def test_duplicates_carry_the_same_event_id(simulator, http, listener):
    simulator.dial(callback_duplicate=1, seconds_to_start=0, seconds_to_complete=0)
    mine = await placed(http)
    await until(lambda: len(listener.events(mine)) >= 6, "the sixth event")
    assert set(Counter(event["eventId"] for event in listener.events(mine)).values()) == {2}


async def test_lost_callbacks_never_come_though_the_order_moves(simulator, http, listener):
    simulator.dial(callback_lost=1, seconds_to_start=0, seconds_to_complete=0)
    external_id = new_id()
    mine = await placed(http, external_id)
    await until(lambda: simulator.orders(external_id)[0]["state"] == "completed")
    await asyncio.sleep(0.2)
    assert listener.events(mine) == []


async def test_late_callbacks_come_late_and_say_when_it_happened(simulator, http, listener):
    simulator.dial(
        callback_late=1, callback_late_seconds=0.6, seconds_to_start=0, seconds_to_complete=0
    )
    mine = await placed(http)
    await until(lambda: len(listener.events(mine)) >= 3)
    first = read_event(listener.events(mine)[0]).at
    assert first is not None
    assert datetime.now(UTC) - first >= timedelta(seconds=0.6)


async def test_callbacks_out_of_order_end_right_when_judged_by_our_rules(simulator, http, listener):
    simulator.dial(callback_out_of_order=1, held=1, seconds_to_start=0.05, seconds_to_complete=0.65)
    mine = await placed(http)
    await until(lambda: len(listener.events(mine)) >= 5, "the fifth event")
    came = states_of(listener.events(mine))
    assert came != ["acknowledged", "inProgress", "held", "inProgress", "completed"]
    state: RemoteState | None = None
    at: datetime | None = None
    for event in map(read_event, listener.events(mine)):
        assert event.order
        assert event.order.state
        if follow(state, at, event.order.state, event.at, Source.EVENT) is Verdict.MOVE:
            state, at = event.order.state, event.at
    assert state is RemoteState.COMPLETED


async def test_a_refused_callback_is_tried_again_a_limited_number_of_times(
    simulator, http, listener
):
    simulator.dial(rejected=1, seconds_to_start=0, callback_tries=3, callback_retry_seconds=0.05)
    given_up = simulator.counts()["events"].get("callback_given_up", 0)
    listener.answer = bare_answer(503)
    await http.post("/productOrder", json=body())
    await until(
        lambda: simulator.counts()["events"].get("callback_given_up", 0) == given_up + 2,
        "giving up both events",
    )
    assert Counter(e["eventType"] for e in listener.events()) == {
        "ProductOrderCreateEvent": 3,
        "ProductOrderStateChangeEvent": 3,
    }
    assert simulator.counts()["callbacks_waiting"] == 0


async def test_behind_a_refused_callback_the_later_ones_of_its_order_wait(
    simulator, http, listener
):
    simulator.dial(
        seconds_to_start=0, seconds_to_complete=0, callback_tries=9, callback_retry_seconds=0.05
    )
    listener.answer = bare_answer(503)
    external_id = new_id()
    mine = await placed(http, external_id)
    await until(lambda: simulator.orders(external_id)[0]["state"] == "completed")
    await until(lambda: len(listener.events(mine)) >= 2, "the first event once more")
    listener.answer = bare_answer(204)
    await until(lambda: simulator.counts()["callbacks_waiting"] == 0, "the last event")
    came = states_of(listener.events(mine))
    in_order = [state for state, _ in itertools.groupby(came)]
    assert in_order == ["acknowledged", "inProgress", "completed"]
    assert came.count("acknowledged") >= 2


async def test_a_callback_address_given_at_the_start_gets_events_with_a_token(
    make_simulator, raw_server
):
    simulator = make_simulator()
    options = {"callback_url": raw_server.url + "/in", "callback_token": "shared secret"}
    simulator.start(options, seconds_to_start=0, seconds_to_complete=0)
    async with httpx.AsyncClient(base_url=simulator.base_url) as http:
        await http.post("/productOrder", json=body())
    await until(lambda: len(raw_server.received) >= 3)
    assert {head["authorization"] for _, head, _ in raw_server.received} == {"Bearer shared secret"}
