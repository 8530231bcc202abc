"""Comparing what we sold on a day with what the ordering system has of it. Pure.

Every sale and every order that is handed in lands in exactly one finding, and every finding lies in
exactly one bin; so the sum of the bins is the sum of what was handed in.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.ordering.delivery import SyncState
from app.ordering.order import Line
from app.ordering.rules import RemoteState, Source, Verdict, agrees, follow, sale_state_of
from app.sales.rules import Discount, SaleState, reached


class DifferenceKind(StrEnum):
    """How the two sides can differ."""

    NOT_THERE = "not_there"
    FORGOTTEN = "forgotten"
    NOBODYS = "nobodys"
    NOT_CONFIRMED = "not_confirmed"
    STATE_DIFFERS = "state_differs"
    PRICE_DIFFERS = "price_differs"
    ITEMS_DIFFER = "items_differ"
    PLACE_DIFFERS = "place_differs"
    DOUBLED = "doubled"
    RETURNED = "returned"
    RETURNED_AFTERWARDS = "returned_afterwards"
    STANDS_ON_NOTHING = "stands_on_nothing"


KIND_WORDS = {
    DifferenceKind.NOT_THERE: Words(
        zh="我方有、对方无", en="We sold it; the ordering system does not have it"
    ),
    DifferenceKind.FORGOTTEN: Words(
        zh="对方曾受理，现已查不到", en="The ordering system had it, and does not know it any more"
    ),
    DifferenceKind.NOBODYS: Words(
        zh="对方有、我方无", en="The ordering system has it; nobody here sold it"
    ),
    DifferenceKind.NOT_CONFIRMED: Words(
        zh="对方有订单，我方对应的销售单从未确认",
        en="The ordering system has it; the sale here whose number it bears was never confirmed",
    ),
    DifferenceKind.STATE_DIFFERS: Words(zh="状态不一致", en="The states differ"),
    DifferenceKind.PRICE_DIFFERS: Words(zh="价格不一致", en="The prices differ"),
    DifferenceKind.ITEMS_DIFFER: Words(zh="销售品不一致", en="What was ordered differs"),
    DifferenceKind.PLACE_DIFFERS: Words(zh="装机地址不一致", en="The places differ"),
    DifferenceKind.DOUBLED: Words(zh="重复订单", en="One sale has several orders"),
    DifferenceKind.RETURNED: Words(
        zh="客户已退订，对方订单未能撤销",
        en="The customer returned it, and its order could not be cancelled",
    ),
    DifferenceKind.RETURNED_AFTERWARDS: Words(
        zh="订单完成后客户退订，对方尚未得知",
        en="The customer returned it after its order was completed; nobody has told them",
    ),
    DifferenceKind.STANDS_ON_NOTHING: Words(
        zh="同次上门所售、该业务依赖的业务已终止，客户也没有其他可依赖的业务",
        en="It needs what was sold in the same visit; that came to nothing, and nothing else is"
        " there",
    ),
}


class Bin(StrEnum):
    """Where a sale or an order is counted.

    Sales are equal, healed, open or explained. Orders that belong to no sale of the day are open or
    explained too, or lie elsewhere: of another day, another part of the organisation, or not ours.
    """

    EQUAL = "equal"
    HEALED = "healed"
    OPEN = "open"
    EXPLAINED = "explained"
    ELSEWHERE = "elsewhere"


class Heal(StrEnum):
    """What is put right by itself: nothing can be lost by it, and the next look would do it too."""

    TAKE_IN = "take_in"
    LINK = "link"
    WAKE = "wake"


class Why(StrEnum):
    """What explains by itself that there is nothing to compare."""

    UNDER_WAY = "under_way"
    ENDED_UNHEARD = "ended_unheard"


# An order that ended like this has no effect: it is as good as none.
NO_EFFECT = frozenset({RemoteState.CANCELLED, RemoteState.REJECTED, RemoteState.FAILED})
_OVER = frozenset({SaleState.CANCELLED, SaleState.REJECTED})


class Lost(NamedTuple):
    """What a sale stood on and has lost: `requires` is what `offering_code` of it needs, and
    `sold_code` would have brought that; it was sold by `sale_id`, which is `state` or, where a part
    alone came back or was not delivered, reversed."""

    offering_code: str
    requires: str
    sale_id: UUID
    sold_code: str
    state: str


@dataclass(frozen=True, slots=True)
class Ours:
    """A confirmed sale of the day, and what we know of its order.

    `not_cancelled` says that the customer returned it and the other side did not cancel its order
    when we asked for that: both sides have it, and somebody has to see to it. `place` is the number
    of the address at which it was sold, None where that was not kept. `returned` is what somebody
    here took back of it when its order had been completed, so that the other side was not told.
    `lost` is what it stood on and nothing else has taken the place of.
    """

    sale_id: UUID
    org_unit_id: UUID
    state: SaleState
    lines: tuple[Line, ...]
    sync: SyncState | None
    attempts: int
    remote_id: str | None
    remote_state: RemoteState | None
    not_cancelled: bool = False
    place: str | None = None
    returned: tuple[Line, ...] = ()
    lost: tuple[Lost, ...] = ()


@dataclass(frozen=True, slots=True)
class Theirs:
    """An order of the other side.

    `counts` says that it was made on the day, through our channel, in the part of the organisation
    that is compared, and is not known as the order of another day's sale. `places` are the numbers
    of places that each item names, of those that name any. `unconfirmed` is the state of the sale
    here whose id it bears, where nobody has confirmed that: a sale that a restored backup knows
    from before the customer's word, say. `item_states` tell, by their places, how its items ended.
    """

    id: str
    external_id: str | None
    state: RemoteState | None
    lines: tuple[Line, ...]
    counts: bool
    org_unit_id: UUID | None = None
    href: str | None = None
    reason: str | None = None
    places: tuple[frozenset[str], ...] = ()
    unconfirmed: SaleState | None = None
    item_states: tuple[tuple[str, RemoteState | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of a sale, of orders, or of both together.

    `order_id` is the order that counts for the sale. A heal may come with a difference that stays.
    """

    bin: Bin
    sale: Ours | None
    orders: tuple[Theirs, ...] = ()
    kind: DifferenceKind | None = None
    heal: Heal | None = None
    why: Why | None = None
    order_id: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def subject(self) -> str:
        """Name what it is about, the same every night."""
        return f"sale:{self.sale.sale_id}" if self.sale else f"order:{self.orders[0].id}"


def compare(
    ours: Iterable[Ours], theirs: Sequence[Theirs], healed_before: Collection[UUID] = ()
) -> list[Finding]:
    """Compare the sales of a day with orders of the other side; ids of orders are unique.

    `healed_before` are sales that an earlier comparison of the day has put right: while they are
    equal they are counted so.
    """
    by_id = {order.id: order for order in theirs}
    by_ours: dict[str, list[Theirs]] = defaultdict(list)
    for order in by_id.values():
        if order.external_id:
            by_ours[order.external_id].append(order)
    taken: set[str] = set()
    findings = []
    for sale in ours:
        found = [each for each in by_ours[str(sale.sale_id)] if each.id not in taken]
        linked = by_id.get(sale.remote_id or "")
        if linked is not None and linked.id not in taken and linked not in found:
            # One that a person has linked does not carry our id.
            found.append(linked)
        taken.update(order.id for order in found)
        findings.append(_judged(sale, found, healed_before))
    findings += _rest(order for order in by_id.values() if order.id not in taken)
    return findings


def _rest(orders: Iterable[Theirs]) -> Iterator[Finding]:
    for order in orders:
        if not order.counts:
            yield Finding(Bin.ELSEWHERE, None, (order,))
        elif order.state in NO_EFFECT:
            yield Finding(Bin.EXPLAINED, None, (order,), why=Why.ENDED_UNHEARD)
        else:
            kind = DifferenceKind.NOBODYS
            facts: dict[str, Any] = {"theirs": _of_order(order)}
            if order.unconfirmed is not None:
                kind = DifferenceKind.NOT_CONFIRMED
                facts["ours"] = {"sale_id": order.external_id, "state": order.unconfirmed.value}
            yield Finding(Bin.OPEN, None, (order,), kind, facts=facts)


def _judged(sale: Ours, found: Sequence[Theirs], healed_before: Collection[UUID]) -> Finding:
    if not found:
        return _without(sale)
    living = [order for order in found if order.state not in NO_EFFECT]
    known = next((order for order in found if order.id == sale.remote_id), None)
    if len(living) > 1:
        order = known if known in living else living[0]
        return _case(sale, found, order, DifferenceKind.DOUBLED)
    order = living[0] if living else known or found[0]
    if living and not _same_things(sale.lines, order.lines):
        return _case(sale, found, order, DifferenceKind.ITEMS_DIFFER)
    if living and not _same_prices(sale.lines, order.lines):
        return _case(sale, found, order, DifferenceKind.PRICE_DIFFERS)
    if living and not _same_place(sale, order):
        return _case(sale, found, order, DifferenceKind.PLACE_DIFFERS)
    heal = _heal(sale, order, known)
    if heal is DifferenceKind.STATE_DIFFERS:
        return _case(sale, found, order, DifferenceKind.STATE_DIFFERS)
    if sale.not_cancelled and living:
        return _case(sale, found, order, DifferenceKind.RETURNED)
    if sale.returned and living:
        return _case(sale, found, order, DifferenceKind.RETURNED_AFTERWARDS)
    if sale.lost and living:
        return _case(sale, found, order, DifferenceKind.STANDS_ON_NOTHING)
    if isinstance(heal, Heal):
        facts = {"ours": _of_sale(sale), "theirs": _of_order(order)}
        return Finding(Bin.HEALED, sale, tuple(found), heal=heal, order_id=order.id, facts=facts)
    bin_ = Bin.HEALED if sale.sale_id in healed_before else Bin.EQUAL
    return Finding(bin_, sale, tuple(found), order_id=order.id)


def _case(sale: Ours, found: Sequence[Theirs], order: Theirs, kind: DifferenceKind) -> Finding:
    """Make a case for a person; what our side has not heard yet is taken in all the same."""
    known = next((each for each in found if each.id == sale.remote_id), None)
    heal = None if kind is DifferenceKind.STATE_DIFFERS else _heal(sale, order, known)
    facts: dict[str, Any] = {"ours": _of_sale(sale), "theirs": _of_order(order)}
    # Each only here: what was explained of other kinds holds as long as its facts are the same.
    if kind is DifferenceKind.RETURNED_AFTERWARDS:
        facts["ours"]["returned"] = [_of_line(line) for line in sale.returned]
    if kind is DifferenceKind.PLACE_DIFFERS:
        facts["ours"]["place"] = sale.place
        facts["theirs"]["places"] = sorted(frozenset().union(*order.places))
    if kind is DifferenceKind.STANDS_ON_NOTHING:
        # The two sides agree: how its own order goes on is no other difference.
        facts = {"ours": {"items": facts["ours"]["items"]}}
    facts["ours"] |= _lost_by(sale)
    if len(found) > 1:
        facts["others"] = [_of_order(each) for each in found if each.id != order.id]
    return Finding(
        Bin.OPEN,
        sale,
        tuple(found),
        kind,
        heal if isinstance(heal, Heal) else None,
        order_id=order.id,
        facts=facts,
    )


def _lost_by(sale: Ours) -> dict[str, Any]:
    """Tell what a sale stood on, if it is gone, beside whatever else is found of it: who has
    explained that is asked again, knowing this."""
    lost = [{**each._asdict(), "sale_id": str(each.sale_id)} for each in sale.lost]
    return {"stood_on": lost} if lost else {}


def _without(sale: Ours) -> Finding:
    """Judge a sale of which the other side has nothing."""
    gone = sale.remote_id is None or sale.remote_state in NO_EFFECT
    # What was given up is dealt with, however their order stood before it was lost.
    if sale.state in _OVER and (gone or sale.sync is SyncState.GIVEN_UP):
        return Finding(Bin.EQUAL, sale)
    facts = {"ours": _of_sale(sale) | _lost_by(sale)}
    if sale.remote_id is not None:
        return Finding(Bin.OPEN, sale, kind=DifferenceKind.FORGOTTEN, facts=facts)
    if sale.sync is None or (sale.sync is SyncState.WAITING and sale.attempts == 0):
        return Finding(Bin.HEALED, sale, heal=Heal.WAKE, facts=facts)
    if sale.sync in (SyncState.WAITING, SyncState.SENDING):
        return Finding(Bin.EXPLAINED, sale, why=Why.UNDER_WAY)
    return Finding(Bin.OPEN, sale, kind=DifferenceKind.NOT_THERE, facts=facts)


def _heal(sale: Ours, order: Theirs, known: Theirs | None) -> Heal | DifferenceKind | None:
    """Say how our side catches up with an order, that it cannot, or that there is nothing to do."""
    state = order.state
    if known is not None and known.id != order.id:
        # Ours ended without effect, and another order lives: somebody has to say what counts.
        return DifferenceKind.STATE_DIFFERS
    said = sale_state_of(state) if state is not None else SaleState.SENT
    settled = (
        (state is not None and agrees(sale.state, state))
        or sale.state is said
        or (sale.state is SaleState.CANCELLING and not reached(sale.state, said))
    )
    follows = settled or reached(sale.state, said) or state is None
    if known is None:
        return Heal.LINK if follows else DifferenceKind.STATE_DIFFERS
    if state is None:
        return None
    if sale.remote_state is state:
        return (
            None
            if settled
            else Heal.TAKE_IN
            if reached(sale.state, said)
            else DifferenceKind.STATE_DIFFERS
        )
    verdict = follow(sale.remote_state, None, state, None, Source.LOOK)
    return Heal.TAKE_IN if verdict is Verdict.MOVE and follows else DifferenceKind.STATE_DIFFERS


def _same_place(sale: Ours, order: Theirs) -> bool:
    """Compare the place, as far as it was kept here and the other side tells any; beside ours an
    item may name others, such as where the bill goes."""
    return sale.place is None or all(sale.place in named for named in order.places)


def _same_things(ours: Iterable[Line], theirs: Iterable[Line]) -> bool:
    return _quantities(ours) == _quantities(theirs)


def _quantities(lines: Iterable[Line]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for line in lines:
        found[line.offering_code] += line.quantity
    return found


def _same_prices(ours: Iterable[Line], theirs: Sequence[Line]) -> bool:
    """Compare prices by offering, and what is taken off them, as far as the other side tells any
    price."""
    told = {line.offering_code for line in theirs if line.monthly_fen is not None}
    return _prices(ours, told) == _prices(theirs, told)


def _prices(
    lines: Iterable[Line], told: Collection[str]
) -> dict[str, tuple[int, int, dict[tuple[Discount, ...], int]]]:
    """Sum up by offering what is paid a month and once, and to how much a month each discount
    applies."""
    found: dict[str, tuple[int, int, dict[tuple[Discount, ...], int]]] = {}
    for line in lines:
        if line.offering_code in told:
            monthly, once, reduced = found.get(line.offering_code, (0, 0, {}))
            if line.discounts:
                reduced[line.discounts] = reduced.get(line.discounts, 0) + (line.monthly_fen or 0)
            found[line.offering_code] = (
                monthly + (line.monthly_fen or 0),
                once + (line.one_time_fen or 0),
                reduced,
            )
    return found


def _of_sale(sale: Ours) -> dict[str, Any]:
    return {
        "state": sale.state.value,
        "delivery": sale.sync.value if sale.sync else None,
        "order_id": sale.remote_id,
        "order_state": sale.remote_state.value if sale.remote_state else None,
        "items": [_of_line(line) for line in sale.lines],
    }


def _of_order(order: Theirs) -> dict[str, Any]:
    return {
        "order_id": order.id,
        "external_id": order.external_id,
        "state": order.state.value if order.state else None,
        "items": [_of_line(line) for line in order.lines],
    }


def _of_line(line: Line) -> dict[str, Any]:
    # Only where there are any: what was explained holds as long as its facts are the same.
    reduced = [discount._asdict() for discount in line.discounts]
    return {
        "offering_code": line.offering_code,
        "quantity": line.quantity,
        "monthly_fen": line.monthly_fen,
        "one_time_fen": line.one_time_fen,
        **({"discounts": reduced} if reduced else {}),
    }
