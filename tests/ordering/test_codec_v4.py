"""Orders are written as the published schema wants them; answers are read whatever they hold."""

import contextlib
import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft4Validator

from app.core.outside import Unreadable
from app.ordering.client import codec_v4, codec_v5
from app.ordering.client.codec_v4 import body_of
from app.ordering.client.listing import read_listed
from app.ordering.client.reading import id_from_href, read_event, read_order, read_time
from app.ordering.order import (
    Channel,
    Characteristic,
    Item,
    ItemAction,
    OrderToPlace,
    OrderUnfit,
    Party,
    Place,
    Price,
    PriceKind,
)
from app.ordering.rules import RemoteState
from app.ordering.simulator.checks import faults_in
from app.sales.rules import Discount
from tests.ordering.factory import SHANGHAI, make_order

# --- writing --------------------------------------------------------------------------------------


def test_an_order_as_it_is_written():
    item = Item(
        id="1",
        action=ItemAction.ADD,
        offering_code="FTTR-1000",
        offering_name="全屋光宽带 1000M",
        quantity=2,
        characteristics=(Characteristic("downloadMbps", 1000), Characteristic("wifi", True)),
        place=Place("a-9", "解放路 8 号 3 栋 2 单元 501"),
        prices=(Price(PriceKind.MONTHLY, 19990), Price(PriceKind.ONE_TIME, 10, "调测费")),
        appointment_id="apt-1",
    )
    assert body_of(make_order(items=(item,), note="先电话")) == {
        "@type": "ProductOrder",
        "externalId": "0195-sale-1",
        "category": "broadband",
        "requestedStartDate": "2026-03-02T01:30:00.000Z",
        "relatedParty": [
            {"id": "c-1", "name": "王小明", "role": "customer", "@referredType": "Customer"},
            {"id": "t-1", "name": "李工", "role": "salesAgent", "@referredType": "Individual"},
        ],
        "channel": [
            {
                "id": "visit",
                "name": "装维随销",
                "role": "used channel",
                "@referredType": "SalesChannel",
            }
        ],
        "note": [{"id": "1", "author": "Yingwei", "text": "先电话"}],
        "productOrderItem": [
            {
                "@type": "ProductOrderItem",
                "id": "1",
                "action": "add",
                "quantity": 2,
                "productOffering": {"id": "FTTR-1000", "name": "全屋光宽带 1000M"},
                "appointment": {"id": "apt-1"},
                "product": {
                    "@type": "Product",
                    "isBundle": False,
                    "productCharacteristic": [
                        {"name": "downloadMbps", "valueType": "number", "value": 1000},
                        {"name": "wifi", "valueType": "boolean", "value": True},
                    ],
                    "place": [
                        {
                            "id": "a-9",
                            "name": "解放路 8 号 3 栋 2 单元 501",
                            "role": "installation address",
                            "@referredType": "GeographicAddress",
                        }
                    ],
                },
                "itemPrice": [
                    {
                        "priceType": "recurring",
                        "recurringChargePeriod": "month",
                        "price": {"taxIncludedAmount": {"unit": "CNY", "value": 199.9}},
                    },
                    {
                        "name": "调测费",
                        "priceType": "nonRecurring",
                        "price": {"taxIncludedAmount": {"unit": "CNY", "value": 0.1}},
                    },
                ],
            }
        ],
    }


TEXT = st.text(min_size=1, max_size=40)
NAME = st.none() | TEXT
DISCOUNTS = st.builds(
    Discount, st.floats(0.01, 100).map(lambda of: round(of, 2)), st.integers(1, 60)
)
ITEMS = st.builds(
    Item,
    id=TEXT,
    action=st.sampled_from(ItemAction),
    offering_code=TEXT,
    offering_name=NAME,
    quantity=st.integers(1, 1000),
    characteristics=st.lists(
        st.builds(
            Characteristic,
            TEXT,
            st.text(max_size=20)
            | st.integers(-(2**53), 2**53)
            | st.booleans()
            | st.floats(allow_nan=False, allow_infinity=False),
        ),
        max_size=4,
    ).map(tuple),
    place=st.none() | st.builds(Place, TEXT, NAME),
    prices=st.lists(
        st.builds(Price, st.sampled_from(PriceKind), st.integers(0, 10**9), NAME)
        | st.builds(Price, st.just(PriceKind.MONTHLY), st.integers(0, 10**9), NAME, DISCOUNTS),
        max_size=3,
    ).map(tuple),
    appointment_id=NAME,
)
ORDERS = st.builds(
    OrderToPlace,
    external_id=TEXT,
    category=TEXT,
    requested_start=st.datetimes(
        datetime(2000, 1, 1),  # noqa: DTZ001 - the zone is drawn beside it
        datetime(2100, 1, 1),  # noqa: DTZ001
        timezones=st.sampled_from([UTC, SHANGHAI]),
    ),
    customer=st.builds(Party, TEXT, NAME),
    sales_agent=st.builds(Party, TEXT, NAME),
    channel=st.builds(Channel, TEXT, NAME),
    items=st.lists(ITEMS, min_size=1, max_size=4, unique_by=lambda item: item.id).map(tuple),
    note=NAME,
)


@pytest.fixture(scope="module")
def strict_create(tmf622_v4):
    """ProductOrder_Create, made to refuse attributes that the schema does not name.

    As published it lets any attribute pass, so a misspelt one would go unseen.
    """
    definitions = copy.deepcopy(tmf622_v4["definitions"])
    for definition in definitions.values():
        if "properties" in definition:
            definition["additionalProperties"] = False
    return Draft4Validator(
        {"$ref": "#/definitions/ProductOrder_Create", "definitions": definitions}
    )


@given(order=ORDERS)
@settings(max_examples=150, deadline=None)
def test_every_order_is_valid_by_the_published_schema(strict_create, order):
    body = body_of(order)
    strict_create.validate(body)
    # jsonschema checks no dates by itself.
    assert datetime.fromisoformat(body["requestedStartDate"]) - order.requested_start < timedelta(
        milliseconds=1
    )


def test_the_schema_would_notice(strict_create):
    """The check above can fail: a missing and a misspelt attribute are both found."""
    body = body_of(make_order())
    del body["productOrderItem"][0]["action"]
    body["extrenalId"] = "x"
    messages = " ".join(error.message for error in strict_create.iter_errors(body))
    assert "'action' is a required property" in messages
    assert "extrenalId" in messages


@given(order=ORDERS)
@settings(max_examples=50, deadline=None)
def test_every_order_is_good_for_the_simulator(order):
    assert faults_in(body_of(order)) == []


@pytest.mark.parametrize("codec", [codec_v4, codec_v5])
@given(
    prices=st.lists(
        st.builds(
            Price, st.just(PriceKind.MONTHLY), st.integers(0, 10**9), NAME, st.none() | DISCOUNTS
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_written_of_prices_is_read_again(codec, prices):
    item = Item(id="1", action=ItemAction.ADD, offering_code="X", prices=tuple(prices))
    (line,) = read_listed({"id": "7", **codec.body_of(make_order(items=(item,)))}).lines
    assert line.monthly_fen == sum(price.amount_fen for price in prices)
    assert line.discounts == tuple(sorted(price.discount for price in prices if price.discount))


def test_a_discount_as_it_is_written():
    prices = (Price(PriceKind.MONTHLY, 12900, discount=Discount(20, 6)),)
    order = make_order(items=_item(prices=prices))
    (written,) = body_of(order)["productOrderItem"][0]["itemPrice"]
    # The price is that of the catalogue, and beside it what is taken off for how long.
    assert written == {
        "priceType": "recurring",
        "recurringChargePeriod": "month",
        "price": {"taxIncludedAmount": {"unit": "CNY", "value": 129.0}},
        "priceAlteration": [
            {
                "priceType": "recurring",
                "recurringChargePeriod": "month",
                "applicationDuration": 6,
                "unitOfMeasure": "month",
                "price": {"percentage": 20},
            }
        ],
    }
    (in_v5,) = codec_v5.body_of(order)["productOrderItem"][0]["itemPrice"]
    (alteration,) = in_v5["priceAlteration"]
    assert (alteration["@type"], alteration["price"]["@type"]) == ("PriceAlteration", "Price")
    del written["priceAlteration"][0]["price"]
    assert faults_in(
        {
            **body_of(order),
            "productOrderItem": [{**body_of(order)["productOrderItem"][0], "itemPrice": [written]}],
        }
    ) == ["productOrderItem[0].itemPrice.priceAlteration.price is mandatory"]


@pytest.mark.parametrize(
    ("alteration", "discount"),
    [
        ({"price": {"percentage": "20"}, "applicationDuration": 6}, Discount(20, 6)),
        ({"price": {"percentage": -20}, "applicationDuration": 6}, Discount(20, 6)),
        (
            {"price": {"percentage": 20}, "applicationDuration": 6, "unitOfMeasure": "Months"},
            Discount(20, 6),
        ),
        # What we sell nothing like differs from all that we do sell.
        ({"price": {"percentage": 20}}, Discount(20, 0)),
        (
            {"price": {"percentage": 20}, "applicationDuration": 6, "unitOfMeasure": "week"},
            Discount(20, 0),
        ),
        ({"price": {"taxIncludedAmount": {"value": -5}}, "applicationDuration": 6}, Discount(0, 6)),
        ({"price": {"percentage": "much"}, "applicationDuration": True}, Discount(0, 0)),
        ({}, Discount(0, 0)),
    ],
)
def test_a_discount_is_read_however_it_is_told(alteration, discount):
    price = {
        "priceType": "recurring",
        "price": {"taxIncludedAmount": {"value": 129}},
        "priceAlteration": [alteration, "nonsense"],
    }
    (line,) = read_listed({"id": "7", "productOrderItem": [{"itemPrice": [price]}]}).lines
    assert (line.monthly_fen, line.discounts) == (12900, (discount,))


@given(st.integers(0, 10**12))
def test_fen_become_yuan_without_loss(fen):
    item = Item(
        id="1",
        action=ItemAction.ADD,
        offering_code="X",
        prices=(Price(PriceKind.ONE_TIME, fen),),
    )
    body = body_of(make_order(items=(item,)))
    yuan = body["productOrderItem"][0]["itemPrice"][0]["price"]["taxIncludedAmount"]["value"]
    whole, _, rest = repr(yuan).partition(".")
    assert int(whole) * 100 + int(rest.ljust(2, "0")) == fen


def _item(**changes: Any) -> tuple[Item, ...]:
    return (Item(**({"id": "1", "action": ItemAction.ADD, "offering_code": "X"} | changes)),)


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"external_id": ""}, ["external_id"]),
        ({"category": ""}, ["category"]),
        ({"customer": Party("")}, ["customer.id"]),
        ({"sales_agent": Party("")}, ["sales_agent.id"]),
        ({"channel": Channel("")}, ["channel.id"]),
        ({"items": ()}, ["items"]),
        ({"requested_start": datetime(2026, 3, 2)}, ["requested_start"]),  # noqa: DTZ001
        ({"items": _item() + _item()}, ["items[0].id", "items[1].id"]),
        ({"items": _item(offering_code="")}, ["items[0].offering_code"]),
        ({"items": _item(quantity=0)}, ["items[0].quantity"]),
        ({"items": _item(prices=(Price(PriceKind.MONTHLY, -1),))}, ["items[0].prices"]),
        (
            {"items": _item(characteristics=(Characteristic("db", float("nan")),))},
            ["items[0].characteristics"],
        ),
        ({"items": _item(place=Place(""))}, ["items[0].place.id"]),
    ],
)
def test_an_order_that_lacks_something_is_refused_with_its_field(changes, fields):
    with pytest.raises(OrderUnfit) as refused:
        make_order(**changes)
    assert refused.value.facts == {"fields": fields}


# --- reading --------------------------------------------------------------------------------------


def test_an_answer_as_it_is_read():
    order = read_order(
        {
            "id": "00000007",
            "href": "/tmf-api/productOrderingManagement/v4/productOrder/00000007",
            "externalId": "sale-7",
            "state": "held",
            "orderDate": "2026-03-02T09:30:00+08:00",
            "note": [
                {"author": "Yingwei", "text": "先电话"},
                {"author": "CRM", "text": "等待资源"},
            ],
            "productOrderItem": [{"id": "1", "action": "add", "state": "held", "@type": "X"}],
            "@type": "BroadbandOrder",
            "someVendorExtension": {"anything": [1, 2, 3]},
        },
        "https://crm.example/api/v4/",
    )
    assert order.id == "00000007"
    assert order.href == (
        "https://crm.example/tmf-api/productOrderingManagement/v4/productOrder/00000007"
    )
    assert order.external_id == "sale-7"
    assert order.state is RemoteState.HELD
    assert order.ordered_at == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert order.reason == "等待资源"
    assert order.item_states == (("1", "held"),)


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("inProgress", RemoteState.IN_PROGRESS),
        ("InProgress", RemoteState.IN_PROGRESS),
        ("IN_PROGRESS", RemoteState.IN_PROGRESS),
        ("in progress", RemoteState.IN_PROGRESS),
        ("Assessing-Cancellation", RemoteState.ASSESSING_CANCELLATION),
        ("acknowledged", RemoteState.ACKNOWLEDGED),
        ("delighted", None),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_states_are_read_however_they_are_written(text, state):
    assert read_order({"id": "1", "state": text}).state is state


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-02T01:30:00Z", datetime(2026, 3, 2, 1, 30, tzinfo=UTC)),
        ("2026-03-02T09:30:00.250+08:00", datetime(2026, 3, 2, 1, 30, 0, 250000, tzinfo=UTC)),
        ("2026-03-02T09:30:00+0800", datetime(2026, 3, 2, 1, 30, tzinfo=UTC)),
        ("2026-03-02T09:30:00", None),  # no zone: a guess could be eight hours off
        ("0001-01-01T00:00:00+08:00", None),  # before the first moment in UTC
        ("yesterday", None),
        (1772415000, None),
        (None, None),
    ],
)
def test_times_are_read_with_a_zone_or_not_at_all(text, moment):
    assert read_time(text) == moment


@pytest.mark.parametrize(
    ("href", "id_"),
    [
        ("/v4/productOrder/17", "17"),
        ("https://crm.example/v4/productOrder/17", "17"),
        ("https://crm.example/v4/productOrder/17/", "17"),
        ("productOrder/a%2Fb", "a/b"),
        ("https://crm.example/v4/productOrder/17?x=1", "17"),
        ("https://crm.example/v4/productOrder", None),
        ("https://crm.example/", None),
        ("http://[", None),
        ("", None),
        (None, None),
    ],
)
def test_the_id_at_the_end_of_an_address(href, id_):
    assert id_from_href(href) == id_


@pytest.mark.parametrize(
    ("items", "lacks"),
    [
        ([{"id": "1", "action": "add"}, {"id": "2", "action": "add"}], False),
        ([{"id": "1", "action": "add"}, {"id": "2", "action": "delete"}], True),
        # Deleted is what was to be deleted, also where that is called done.
        ([{"id": "2", "action": "delete", "state": "completed"}], True),
        ([{"id": "2", "action": "add", "state": "cancelled"}], False),
        ([{"id": "1", "action": "add"}], True),
        ([], False),
        (None, False),
    ],
)
def test_an_order_tells_whether_an_item_was_taken_out(items, lacks):
    assert read_order({"id": "7", "productOrderItem": items}).lacks("2") is lacks


@pytest.mark.parametrize("answer", [None, [], "x", 7, {}, {"id": ""}, {"id": None}, {"id": []}])
def test_what_is_no_order_is_unreadable(answer):
    with pytest.raises(Unreadable):
        read_order(answer)


def test_a_number_as_id_and_an_order_without_id_but_with_href():
    assert read_order({"id": 17}).id == "17"
    assert read_order({"href": "/v4/productOrder/17"}).id == "17"


def test_an_href_that_is_no_address_does_no_harm():
    assert read_order({"id": "17", "href": "http://["}, "https://crm.example/").href is None


def _event(**changes: Any) -> dict[str, Any]:
    order = {"id": "7", "state": "completed", "externalId": "sale-7"}
    return {
        "eventId": "e-1",
        "eventTime": "2026-03-02T01:30:00Z",
        "eventType": "ProductOrderStateChangeEvent",
        "event": {"productOrder": order},
    } | changes


def test_an_event_as_it_is_read():
    event = read_event(_event(correlationId="c", unknown=1))
    assert (event.id, event.kind) == ("e-1", "ProductOrderStateChangeEvent")
    assert event.at == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
    assert event.order
    assert (event.order.id, event.order.state) == ("7", RemoteState.COMPLETED)


def test_an_event_without_id_is_known_again_by_its_content():
    first, again = read_event(_event(eventId=None)), read_event(_event(eventId=None))
    other = read_event(_event(eventId=None, eventTime="2026-03-02T01:30:01Z"))
    assert first.id == again.id != other.id


def test_an_event_may_name_its_time_as_the_schema_misspells_it():
    event = read_event(_event(eventTime=None, timeOcurred="2026-03-02T01:30:00Z"))
    assert event.at == datetime(2026, 3, 2, 1, 30, tzinfo=UTC)


@pytest.mark.parametrize("body", [None, [], {}, {"event": []}, {"event": {}}, _event(event={})])
def test_what_is_no_event_is_unreadable(body):
    with pytest.raises(Unreadable):
        read_event(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["id", "href", "state", "note", "text", "event", "productOrder", "author"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.dictionaries(st.sampled_from(["eventId", "eventTime", "event"]), JSON))
@settings(deadline=None)
def test_no_json_whatever_makes_reading_fail_otherwise(anything, event):
    """Reading ends in a value or in Unreadable, on any JSON."""
    for read, value in ((read_order, anything), (read_event, anything), (read_event, event)):
        with contextlib.suppress(Unreadable):
            assert read(value).id
