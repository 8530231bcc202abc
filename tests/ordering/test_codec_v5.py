"""v5 is written as its published schema wants it, on every offering of the catalogue."""

import copy
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from app.core.outside import Unreadable
from app.ordering.client import codec_v4, codec_v5
from app.ordering.client.reading import read_cancellation, read_event, read_order
from app.ordering.order import (
    BY_THE_SELLER,
    INSTALL_ORDER,
    INSTALLED_BY,
    Amendment,
    Characteristic,
    Item,
    ItemAction,
    Place,
    Price,
    PriceKind,
)
from app.ordering.rules import RemoteState, TaskState
from app.ordering.simulator import checks, checks_v5
from app.sales.rules import Discount
from tests.ordering.factory import make_order

CATALOGUE = Path(__file__).resolve().parents[2] / "seed" / "catalog.yaml"
NOON = datetime(2026, 3, 2, 4, 0, tzinfo=UTC)
FULL = Item(
    id="1",
    action=ItemAction.ADD,
    offering_code="FTTR-1000",
    offering_name="全屋光宽带 1000M",
    quantity=2,
    characteristics=(
        Characteristic("downloadMbps", 1000),
        Characteristic("wifi", True),
        Characteristic("colour", "白"),
    ),
    place=Place("a-9", "解放路 8 号 3 栋 2 单元 501"),
    prices=(
        Price(PriceKind.MONTHLY, 19990, discount=Discount(12.5, 6)),
        Price(PriceKind.ONE_TIME, 10, "调测费"),
    ),
    appointment_id="apt-1",
)


@pytest.fixture(scope="module")
def tmf622_v5(shared_dir: Path) -> dict[str, Any]:
    """The schemas of TMF622 v5.0.0, a choice by discriminator read as any of them."""
    folder = shared_dir / "tmf" / "TMF622"
    if not folder.is_dir():
        pytest.skip("the TMF622 specification is not in the folder of public data")
    (file,) = folder.glob("*v5.0.0.oas.yaml")
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    described = yaml.load(file.read_text("utf-8"), Loader=loader)
    return {"components": {"schemas": _any_of(described["components"]["schemas"])}}


def _any_of(node: Any) -> Any:
    """Read `oneOf` as `anyOf`: several of the kinds that it offers allow the same object."""
    if isinstance(node, list):
        return [_any_of(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {("anyOf" if key == "oneOf" else key): _any_of(value) for key, value in node.items()}


def validator(schemas: dict[str, Any], kind: str) -> Draft202012Validator:
    return Draft202012Validator({"$ref": f"#/components/schemas/{kind}", **schemas})


def named(schemas: dict[str, Any], kind: str) -> set[str]:
    """Every attribute that a kind has, inherited ones included."""
    node = schemas["components"]["schemas"][kind]
    found = set[str]()
    for part in [node, *node.get("allOf", [])]:
        found |= set(part.get("properties", {}))
        if "$ref" in part:
            found |= named(schemas, part["$ref"].rpartition("/")[2])
    return found


def unknown(schemas: dict[str, Any], value: Any) -> list[str]:
    """List attributes that the kind an object says it is does not have."""
    if isinstance(value, list):
        return [each for member in value for each in unknown(schemas, member)]
    if not isinstance(value, dict):
        return []
    within = [each for member in value.values() for each in unknown(schemas, member)]
    kind = value.get("@type")
    if kind is None:
        return within
    known = next(name for name in (f"{kind}_FVO", kind) if name in schemas["components"]["schemas"])
    return within + [f"{kind}.{name}" for name in set(value) - named(schemas, known)]


def offerings() -> list[dict[str, Any]]:
    catalogue = yaml.safe_load(CATALOGUE.read_text("utf-8"))
    rows: list[dict[str, Any]] = catalogue["offerings"]
    return rows


def order_of(offering: dict[str, Any]) -> Any:
    speed = offering.get("speed_mbps")
    told = [Characteristic("speed_mbps", speed)] if speed else []
    if offering.get("install_minutes"):
        told += [Characteristic(INSTALLED_BY, BY_THE_SELLER), Characteristic(INSTALL_ORDER, "7")]
    return make_order(
        items=(
            Item(
                id="1",
                action=ItemAction.ADD,
                offering_code=offering["code"],
                offering_name=offering["name"]["zh"],
                characteristics=tuple(told),
                place=Place("a-9", "解放路 8 号"),
                prices=(Price(PriceKind.MONTHLY, offering.get("monthly_price_fen", 0)),),
            ),
        ),
        note="先电话",
        requested_completion=NOON,
    )


def test_every_offering_of_the_catalogue_is_valid_in_v5(tmf622_v5):
    create = validator(tmf622_v5, "ProductOrder_FVO")
    for order in [*map(order_of, offerings()), make_order(items=(FULL,), note="x")]:
        body = codec_v5.body_of(order)
        create.validate(body)
        assert unknown(tmf622_v5, body) == []
        assert checks_v5.faults_in(body) == []


def test_every_offering_of_the_catalogue_is_valid_in_v4(tmf622_v4):
    definitions = copy.deepcopy(tmf622_v4["definitions"])
    for definition in definitions.values():
        if "properties" in definition:
            definition["additionalProperties"] = False

    def strict(kind: str) -> Draft202012Validator:
        return Draft202012Validator({"$ref": f"#/definitions/{kind}", "definitions": definitions})

    for order in [*map(order_of, offerings()), make_order(items=(FULL,), note="x")]:
        body = codec_v4.body_of(order)
        strict("ProductOrder_Create").validate(body)
        assert checks.faults_in(body) == []
    changes = Amendment(requested_start=NOON, note="改期")
    returned = make_order(items=(replace(FULL, action=ItemAction.DELETE),))
    for order in (make_order(note="先电话"), returned):
        strict("ProductOrder_Update").validate(codec_v4.amendment_of(order, changes))
    strict("CancelProductOrder_Create").validate(codec_v4.cancellation_of("7", "客户取消", NOON))


def test_what_is_to_change_is_valid_in_v5(tmf622_v5):
    changes = Amendment(requested_start=NOON, note="改期")
    returned = make_order(items=(replace(FULL, action=ItemAction.DELETE),))
    amendment = codec_v5.amendment_of(returned, changes)
    validator(tmf622_v5, "ProductOrder_MVO").validate(amendment)
    amendment = codec_v5.amendment_of(make_order(items=(FULL,), note="先电话"), changes)
    validator(tmf622_v5, "ProductOrder_MVO").validate(amendment)
    assert amendment["requestedStartDate"] == "2026-03-02T04:00:00.000Z"
    cancellation = codec_v5.cancellation_of("7", "客户取消", NOON)
    validator(tmf622_v5, "CancelProductOrder_FVO").validate(cancellation)
    assert unknown(tmf622_v5, [amendment, cancellation]) == []


@pytest.mark.parametrize("codec", [codec_v4, codec_v5])
def test_a_note_is_added_to_the_orders_own_and_does_not_take_its_place(codec):
    order, changes = make_order(note="先电话"), Amendment(note="改约周末")
    own, added = codec.amendment_of(order, changes)["note"]
    assert own == codec.body_of(order)["note"][0]
    assert (own["id"], added["id"], added["text"]) == ("1", "2", "改约周末")
    (alone,) = codec.amendment_of(make_order(), changes)["note"]
    assert alone["id"] == "2"
    assert "note" not in codec.amendment_of(order, Amendment(requested_start=NOON))
    # Whoever takes the list for the whole list has what was told before in it, too.
    again = Amendment(note="请走北门", note_id="c2", told_before=[("c1", "改约周末")])
    notes = codec.amendment_of(order, again)["note"]
    assert [(note["id"], note["text"]) for note in notes] == [
        ("1", "先电话"),
        ("c1", "改约周末"),
        ("c2", "请走北门"),
    ]


def test_the_v5_schema_would_notice(tmf622_v5):
    body = codec_v5.body_of(make_order())
    del body["productOrderItem"][0]["action"]
    del body["channel"][0]["role"]
    body["extrenalId"] = "x"
    messages = " ".join(
        error.message for error in validator(tmf622_v5, "ProductOrder_FVO").iter_errors(body)
    )
    assert "'action' is a required property" in messages
    assert "'role' is a required property" in messages
    assert unknown(tmf622_v5, body) == ["ProductOrder.extrenalId"]


def test_the_simulator_would_notice():
    body = codec_v5.body_of(make_order(items=(FULL,)))
    del body["relatedParty"][0]["@type"]
    body["productOrderItem"][0]["product"]["place"][0]["place"].pop("id")
    body["productOrderItem"][0]["itemPrice"][0]["priceAlteration"][0].pop("price")
    faults = " ".join(checks_v5.faults_in(body))
    assert "relatedParty.@type is mandatory" in faults
    assert "itemPrice.priceAlteration.price is mandatory" in faults
    assert "place.id is mandatory" in faults
    assert checks_v5.faults_in([]) == ["The body must be a JSON object"]


def test_an_order_of_v5_as_it_is_read():
    order = read_order(
        {
            "@type": "ProductOrder",
            "id": "7",
            "externalId": [
                {"@type": "ExternalIdentifier", "owner": "CRM", "id": "theirs"},
                {"@type": "ExternalIdentifier", "owner": "Yingwei", "id": "sale-7"},
            ],
            "state": "inProgress.accepted",
            "productOrderErrorMessage": [{"code": "12", "reason": "port", "message": "无端口"}],
        }
    )
    assert (order.external_id, order.state, order.reason) == (
        "sale-7",
        RemoteState.IN_PROGRESS,
        "无端口",
    )
    assert read_order({"id": "7", "externalId": [{"id": "x"}]}).external_id == "x"
    assert read_order({"id": "7", "externalId": []}).external_id is None


@pytest.mark.parametrize("name", ["cancelProductOrder", "canccelProductOrder"])
def test_an_event_of_a_cancellation_is_read_as_either_version_spells_it(name):
    task = {"id": "c1", "state": "terminatedWithError", "productOrder": {"id": "7"}}
    event = read_event({"@type": "CancelProductOrderStateChangeEvent", "event": {name: task}})
    assert event.order is None
    assert event.kind == "CancelProductOrderStateChangeEvent"
    assert event.cancellation is not None
    assert event.cancellation.order_id == "7"
    assert event.cancellation.state is TaskState.TERMINATED_WITH_ERROR


@pytest.mark.parametrize("task", [None, [], {}, {"id": "x" * 300}])
def test_what_is_no_cancellation_is_unreadable(task):
    with pytest.raises(Unreadable):
        read_cancellation(task)
