"""One order in our own words: what we ask of an ordering system, and what it tells us back.

No wire format is known here; the codecs turn these values into TMF622 bodies and answers into
these values.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.core.errors import Problem
from app.core.i18n import Words
from app.ordering.rules import RemoteState, TaskState
from app.sales.rules import Discount

# How we sign notes, and whose ids ours are.
AUTHOR = "Yingwei"

# Of an item that whoever sold it installs in the same visit: the characteristics that say so, and
# by which of our orders. TMF622 has no attribute for it, and nobody else must be sent.
INSTALLED_BY, BY_THE_SELLER = "installed_by", "sales_agent"
INSTALL_ORDER = "install_order"


class OrderUnfit(Problem):
    """The order lacks what every ordering system needs; a fault of ours, found before sending."""

    slug, status = "ordering-order-unfit", 422
    title = Words(zh="订单内容不完整", en="The order is not complete")
    advice = Words(zh="请更正：{fields}。", en="Correct: {fields}.")


class ItemAction(StrEnum):
    """What an item does to the customer's products, as TMF622 names it."""

    ADD = "add"
    MODIFY = "modify"
    DELETE = "delete"
    NO_CHANGE = "noChange"


class PriceKind(StrEnum):
    """How often a price is charged."""

    ONE_TIME = "one_time"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Party:
    """A person by our number; the name helps people who read the order."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """Where the sale was made."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """The address to serve, by our number and in words."""

    id: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Characteristic:
    """One property of the product ordered, such as its speed."""

    name: str
    value: str | int | float | bool


@dataclass(frozen=True, slots=True)
class Price:
    """One price of an item: fen, tax included, for the whole quantity, and without the discount
    that a monthly one may have."""

    kind: PriceKind
    amount_fen: int
    name: str | None = None
    discount: Discount | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the order; `id` is unique within it, `quantity` at least 1."""

    id: str
    action: ItemAction
    offering_code: str
    offering_name: str | None = None
    quantity: int = 1
    characteristics: tuple[Characteristic, ...] = ()
    place: Place | None = None
    prices: tuple[Price, ...] = ()
    appointment_id: str | None = None


@dataclass(frozen=True, slots=True)
class OrderToPlace:
    """A finished sale as an order, independent of the version the other side speaks.

    `external_id` is the sale's id: the other side keeps it and is asked for it before anything is
    sent a second time. `requested_start` is aware, and so is `requested_completion`: until when an
    install in the same visit is promised. Raises OrderUnfit when something is missing.
    """

    external_id: str
    category: str
    requested_start: datetime
    customer: Party
    sales_agent: Party
    channel: Channel
    items: tuple[Item, ...]
    note: str | None = None
    requested_completion: datetime | None = None

    def __post_init__(self) -> None:
        """Refuse an order that no ordering system could take."""
        fields = list(_unfit(self))
        if fields:
            raise OrderUnfit(fields=fields)


def _unfit(order: OrderToPlace) -> list[str]:
    """Name the fields of an order that are missing or make no sense."""
    needed = {
        "external_id": order.external_id,
        "category": order.category,
        "customer.id": order.customer.id,
        "sales_agent.id": order.sales_agent.id,
        "channel.id": order.channel.id,
        "items": order.items,
    }
    fields = [name for name, value in needed.items() if not value]
    if order.requested_start.tzinfo is None:
        fields.append("requested_start")
    ids = [item.id for item in order.items]
    for index, item in enumerate(order.items):
        where = f"items[{index}]"
        if not item.id or ids.count(item.id) > 1:
            fields.append(f"{where}.id")
        if not item.offering_code:
            fields.append(f"{where}.offering_code")
        if item.quantity < 1:
            fields.append(f"{where}.quantity")
        if any(price.amount_fen < 0 for price in item.prices):
            fields.append(f"{where}.prices")
        if not all(_can_be_sent(each) for each in item.characteristics):
            fields.append(f"{where}.characteristics")
        if item.place is not None and not item.place.id:
            fields.append(f"{where}.place.id")
    return fields


def _can_be_sent(characteristic: Characteristic) -> bool:
    value = characteristic.value
    return bool(characteristic.name) and not (isinstance(value, float) and not math.isfinite(value))


@dataclass(frozen=True, slots=True)
class Amendment:
    """What is to be different in an order that the other side has; None stays as it is.

    What is sold and for how much is not among it: that is what the customer agreed to. `note_id`
    is what the note is called there, its own among all notes of the order; `told_before` are those
    of earlier amendments, by their ids.
    """

    requested_start: datetime | None = None
    note: str | None = None
    note_id: str = "2"
    told_before: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class RemoteOrder:
    """A product order as the other side told it.

    `state` is None when it said none or one that TMF622 does not know; `state_text` keeps its own
    word. `reason` is its text on why the order was refused, cancelled or held. `item_states` are
    its items by their ids, as far as it told of any; `taken_out` are those of them that are to be
    deleted. Times are aware.
    """

    id: str
    href: str | None
    external_id: str | None
    state: RemoteState | None
    state_text: str | None
    ordered_at: datetime | None
    reason: str | None
    item_states: tuple[tuple[str, RemoteState | None], ...]
    taken_out: frozenset[str] = frozenset()

    def lacks(self, item_id: str) -> bool:
        """Tell whether an item was taken out of the order: it is to be deleted there, or the order
        tells of others alone. False where it tells of none."""
        told = [id_ for id_, _ in self.item_states]
        return item_id in self.taken_out or (bool(told) and item_id not in told)


@dataclass(frozen=True, slots=True)
class Line:
    """One item of an order: prices are fen for the whole quantity, None where none was told;
    `discounts` are what is taken off the monthly one."""

    offering_code: str
    quantity: int
    monthly_fen: int | None
    one_time_fen: int | None
    discounts: tuple[Discount, ...] = ()


def in_order(lines: Iterable[Line]) -> tuple[Line, ...]:
    """Put items into an order that depends on nothing but themselves."""

    def key(line: Line) -> tuple[str, int, int, int, tuple[Discount, ...]]:
        monthly, once = line.monthly_fen, line.one_time_fen
        none = -1
        return (
            line.offering_code,
            line.quantity,
            none if monthly is None else monthly,
            none if once is None else once,
            line.discounts,
        )

    return tuple(sorted(lines, key=key))


@dataclass(frozen=True, slots=True)
class RemoteCancellation:
    """The task of cancelling an order, as the other side told it.

    `state` is None when it said none or one that TMF622 does not know. `order_id` is the other
    side's id of the order, where it said whose cancellation this is.
    """

    id: str
    href: str | None
    order_id: str | None
    state: TaskState | None
    state_text: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class RemoteEvent:
    """A callback: something happened to a product order, or to the cancellation of one.

    `id` is the other side's event id or, where it sends none, a hash of the content. `at` is the
    other side's time of the event, None when it sent none or one without a time zone.
    """

    id: str
    kind: str
    at: datetime | None
    order: RemoteOrder | None
    cancellation: RemoteCancellation | None
