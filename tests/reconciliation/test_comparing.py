"""How two sides of a day are compared: as a table, and over any mixture of differences."""

from collections import Counter
from dataclasses import replace
from datetime import date
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ordering.client.listing import read_listed
from app.ordering.delivery import SyncState
from app.ordering.order import Line
from app.ordering.rules import RemoteState
from app.reconciliation.rules import (
    KIND_WORDS,
    LEGAL,
    RESOLUTION_WORDS,
    Bin,
    DifferenceKind,
    Heal,
    Lost,
    NotForThisCase,
    Ours,
    Resolution,
    Theirs,
    Why,
    checked,
    compare,
    days_of_night,
)
from app.sales.rules import Discount, SaleState

UNIT = UUID(int=7)
SPEED = Line("SPEED-1000", 1, 12900, 0)
TV = Line("TV-4K", 2, 4000, 0)
REDUCED = replace(SPEED, discounts=(Discount(20, 6),))


def ours(number=1, **changes):
    """A sale that the other side has completed, and that we know of."""
    sale = Ours(
        sale_id=UUID(int=number),
        org_unit_id=UNIT,
        state=SaleState.COMPLETED,
        lines=(SPEED,),
        sync=SyncState.FINISHED,
        attempts=1,
        remote_id=f"r{number}",
        remote_state=RemoteState.COMPLETED,
    )
    return replace(sale, **changes)


def theirs(number=1, of=1, **changes):
    """The order of a sale on the other side."""
    order = Theirs(
        id=f"r{number}",
        external_id=str(UUID(int=of)) if of else None,
        state=RemoteState.COMPLETED,
        lines=(SPEED,),
        counts=True,
        org_unit_id=UNIT,
    )
    return replace(order, **changes)


LOST = (Lost("SPEED-1000", "broadband", UUID(int=2), "LINE", "rejected"),)
CANCELLED = {"state": RemoteState.CANCELLED}
ACKNOWLEDGED = {
    "state": SaleState.ACKNOWLEDGED,
    "sync": SyncState.DELIVERED,
    "remote_state": RemoteState.ACKNOWLEDGED,
}
UNSENT = {
    "state": SaleState.CONFIRMED,
    "sync": SyncState.WAITING,
    "attempts": 0,
    "remote_id": None,
    "remote_state": None,
}
PARKED = {**UNSENT, "sync": SyncState.PARKED, "attempts": 3}


@pytest.mark.parametrize(
    "sale, orders, bin_, kind, heal",
    [
        pytest.param(ours(), [theirs()], Bin.EQUAL, None, None, id="the same on both sides"),
        pytest.param(
            ours(lines=(SPEED, TV)),
            [theirs(lines=(TV, SPEED))],
            Bin.EQUAL,
            None,
            None,
            id="items in another order",
        ),
        pytest.param(
            ours(),
            [theirs(lines=(Line("SPEED-1000", 1, None, None),))],
            Bin.EQUAL,
            None,
            None,
            id="they tell no prices",
        ),
        pytest.param(
            ours(**ACKNOWLEDGED), [theirs()], Bin.HEALED, None, Heal.TAKE_IN, id="we missed the end"
        ),
        pytest.param(
            ours(**PARKED), [theirs()], Bin.HEALED, None, Heal.LINK, id="we lost its number"
        ),
        pytest.param(
            ours(remote_id="r9"), [theirs()], Bin.HEALED, None, Heal.LINK, id="its number changed"
        ),
        pytest.param(ours(**UNSENT), [], Bin.HEALED, None, Heal.WAKE, id="never sent"),
        pytest.param(
            ours(**{**UNSENT, "sync": None}), [], Bin.HEALED, None, Heal.WAKE, id="no delivery"
        ),
        pytest.param(ours(**PARKED), [], Bin.OPEN, DifferenceKind.NOT_THERE, None, id="parked"),
        pytest.param(ours(), [], Bin.OPEN, DifferenceKind.FORGOTTEN, None, id="forgotten"),
        pytest.param(
            ours(**{**UNSENT, "state": SaleState.CANCELLED, "sync": SyncState.GIVEN_UP}),
            [],
            Bin.EQUAL,
            None,
            None,
            id="given up, and not there",
        ),
        pytest.param(
            ours(state=SaleState.CANCELLED, sync=SyncState.GIVEN_UP),
            [],
            Bin.EQUAL,
            None,
            None,
            id="forgotten, and given up",
        ),
        pytest.param(
            ours(**{**UNSENT, "attempts": 2}), [], Bin.EXPLAINED, None, None, id="under way"
        ),
        pytest.param(
            ours(state=SaleState.CANCELLED, remote_state=RemoteState.CANCELLED),
            [],
            Bin.EQUAL,
            None,
            None,
            id="cancelled, and not kept there",
        ),
        pytest.param(
            ours(),
            [theirs(**CANCELLED)],
            Bin.OPEN,
            DifferenceKind.STATE_DIFFERS,
            None,
            id="two ends",
        ),
        pytest.param(
            ours(remote_state=RemoteState.PARTIAL),
            [theirs(state=RemoteState.PARTIAL)],
            Bin.EQUAL,
            None,
            None,
            id="in part, and judged",
        ),
        pytest.param(
            ours(state=SaleState.CANCELLED, remote_state=RemoteState.PARTIAL),
            [theirs(state=RemoteState.PARTIAL)],
            Bin.OPEN,
            DifferenceKind.STATE_DIFFERS,
            None,
            id="in part, and cancelled here",
        ),
        pytest.param(
            ours(),
            [theirs(state=RemoteState.IN_PROGRESS)],
            Bin.OPEN,
            DifferenceKind.STATE_DIFFERS,
            None,
            id="they are behind",
        ),
        pytest.param(
            ours(**{**UNSENT, "state": SaleState.CANCELLED, "sync": SyncState.GIVEN_UP}),
            [theirs()],
            Bin.OPEN,
            DifferenceKind.STATE_DIFFERS,
            None,
            id="given up, and there after all",
        ),
        pytest.param(
            ours(),
            [theirs(lines=(replace(SPEED, monthly_fen=13000),))],
            Bin.OPEN,
            DifferenceKind.PRICE_DIFFERS,
            None,
            id="another price",
        ),
        pytest.param(
            ours(lines=(REDUCED,)),
            [theirs()],
            Bin.OPEN,
            DifferenceKind.PRICE_DIFFERS,
            None,
            id="sold at a discount that they do not know",
        ),
        pytest.param(
            ours(),
            [theirs(lines=(REDUCED,))],
            Bin.OPEN,
            DifferenceKind.PRICE_DIFFERS,
            None,
            id="sold at the full price, and they take something off",
        ),
        pytest.param(
            ours(lines=(REDUCED,)),
            [theirs(lines=(replace(REDUCED, discounts=(Discount(20, 12),)),))],
            Bin.OPEN,
            DifferenceKind.PRICE_DIFFERS,
            None,
            id="at a discount for longer",
        ),
        pytest.param(
            ours(lines=(REDUCED, replace(SPEED, monthly_fen=0))),
            [theirs(lines=(replace(SPEED, monthly_fen=0), REDUCED))],
            Bin.EQUAL,
            None,
            None,
            id="the same discount",
        ),
        pytest.param(
            ours(lines=(REDUCED,)),
            [theirs(lines=(Line("SPEED-1000", 1, None, None),))],
            Bin.EQUAL,
            None,
            None,
            id="they tell no price, so no discount either",
        ),
        pytest.param(
            ours(place="A-1"),
            [theirs(places=(frozenset({"A-1", "BILL"}), frozenset({"A-2"})))],
            Bin.OPEN,
            DifferenceKind.PLACE_DIFFERS,
            None,
            id="one item at another place",
        ),
        pytest.param(
            ours(place="A-1"),
            [theirs(places=(frozenset({"A-1", "BILL"}),))],
            Bin.EQUAL,
            None,
            None,
            id="at the place and billed elsewhere",
        ),
        pytest.param(ours(place="A-1"), [theirs()], Bin.EQUAL, None, None, id="they tell no place"),
        pytest.param(
            ours(),
            [theirs(places=(frozenset({"A-2"}),))],
            Bin.EQUAL,
            None,
            None,
            id="sold before places were kept",
        ),
        pytest.param(
            ours(**ACKNOWLEDGED),
            [theirs(lines=(TV,))],
            Bin.OPEN,
            DifferenceKind.ITEMS_DIFFER,
            Heal.TAKE_IN,
            id="other items, and we missed the end",
        ),
        pytest.param(
            ours(),
            [theirs(), theirs(2)],
            Bin.OPEN,
            DifferenceKind.DOUBLED,
            None,
            id="two orders of one sale",
        ),
        pytest.param(
            ours(not_cancelled=True),
            [theirs()],
            Bin.OPEN,
            DifferenceKind.RETURNED,
            None,
            id="returned, and not cancelled there",
        ),
        pytest.param(
            ours(not_cancelled=True, state=SaleState.CANCELLED, remote_state=RemoteState.CANCELLED),
            [theirs(**CANCELLED)],
            Bin.EQUAL,
            None,
            None,
            id="returned, and cancelled there in the end",
        ),
        pytest.param(
            ours(returned=(SPEED,)),
            [theirs()],
            Bin.OPEN,
            DifferenceKind.RETURNED_AFTERWARDS,
            None,
            id="returned when it was completed, and not told",
        ),
        pytest.param(
            ours(returned=(SPEED,), state=SaleState.CANCELLED, remote_state=RemoteState.CANCELLED),
            [theirs(**CANCELLED)],
            Bin.EQUAL,
            None,
            None,
            id="returned when it was completed, and cancelled there since",
        ),
        pytest.param(
            ours(lost=LOST),
            [theirs()],
            Bin.OPEN,
            DifferenceKind.STANDS_ON_NOTHING,
            None,
            id="what it needs came to nothing",
        ),
        pytest.param(
            ours(lost=LOST, **ACKNOWLEDGED),
            [theirs()],
            Bin.OPEN,
            DifferenceKind.STANDS_ON_NOTHING,
            Heal.TAKE_IN,
            id="what it needs came to nothing, and we missed its end",
        ),
        pytest.param(
            ours(lost=LOST, **ACKNOWLEDGED),
            [theirs(**CANCELLED)],
            Bin.HEALED,
            None,
            Heal.TAKE_IN,
            id="what it needs came to nothing, and so did it",
        ),
        pytest.param(
            ours(), [theirs(), theirs(2, **CANCELLED)], Bin.EQUAL, None, None, id="one cancelled"
        ),
        pytest.param(
            ours(), [theirs(of=0)], Bin.EQUAL, None, None, id="linked by hand, without our id"
        ),
    ],
)
def test_a_sale_and_its_orders(sale, orders, bin_, kind, heal):
    (finding,) = compare([sale], orders)
    assert (finding.bin, finding.kind, finding.heal) == (bin_, kind, heal)
    assert {order.id for order in finding.orders} == {order.id for order in orders}


@pytest.mark.parametrize(
    "order, bin_, kind, why",
    [
        (theirs(of=0), Bin.OPEN, DifferenceKind.NOBODYS, None),
        (theirs(of=0, counts=False), Bin.ELSEWHERE, None, None),
        (theirs(of=0, **CANCELLED), Bin.EXPLAINED, None, Why.ENDED_UNHEARD),
    ],
)
def test_an_order_that_belongs_to_no_sale(order, bin_, kind, why):
    (finding,) = compare([], [order])
    assert (finding.bin, finding.kind, finding.why) == (bin_, kind, why)


def test_what_was_healed_stays_counted_as_healed():
    (finding,) = compare([ours()], [theirs()], {UUID(int=1)})
    assert (finding.bin, finding.heal) == (Bin.HEALED, None)


LINES = st.lists(
    st.builds(
        Line,
        st.sampled_from(["SPEED-1000", "TV-4K"]),
        st.integers(1, 2),
        st.sampled_from([None, 100, 200]),
        st.sampled_from([None, 0, 50]),
    ),
    max_size=2,
).map(tuple)
SALES = st.lists(
    st.builds(
        Ours,
        sale_id=st.integers(1, 6).map(lambda number: UUID(int=number)),
        org_unit_id=st.just(UNIT),
        state=st.sampled_from([s for s in SaleState if s is not SaleState.DRAFT]),
        lines=LINES,
        sync=st.none() | st.sampled_from(SyncState),
        attempts=st.integers(0, 2),
        remote_id=st.none() | st.integers(1, 8).map(lambda number: f"r{number}"),
        remote_state=st.none() | st.sampled_from(RemoteState),
    ),
    unique_by=lambda sale: sale.sale_id,
    max_size=6,
)
ORDERS = st.lists(
    st.builds(
        Theirs,
        id=st.integers(1, 8).map(lambda number: f"r{number}"),
        external_id=st.none()
        | st.just("of somebody else")
        | st.integers(1, 8).map(lambda number: str(UUID(int=number))),
        state=st.none() | st.sampled_from(RemoteState),
        lines=LINES,
        counts=st.booleans(),
        org_unit_id=st.just(UNIT),
    ),
    unique_by=lambda order: order.id,
    max_size=8,
)


@settings(max_examples=150)
@given(SALES, ORDERS, st.sets(st.integers(1, 6).map(lambda number: UUID(int=number))))
def test_every_sale_and_every_order_lies_in_exactly_one_bin(sales, orders, healed):
    findings = compare(sales, orders, healed)
    told = Counter(f.sale.sale_id for f in findings if f.sale is not None)
    assert told == Counter(sale.sale_id for sale in sales)
    assert Counter(o.id for f in findings for o in f.orders) == Counter(o.id for o in orders)
    bins = Counter(f.bin for f in findings if f.sale is not None)
    assert sum(bins[b] for b in (Bin.EQUAL, Bin.HEALED, Bin.OPEN, Bin.EXPLAINED)) == len(sales)
    for f in findings:
        # What is open says what it is, and something can be done about it; nothing else does.
        assert (f.kind is not None) is (f.bin is Bin.OPEN)
        assert f.kind is None or LEGAL[f.kind]
        if f.bin is Bin.EXPLAINED:
            assert f.why is not None
        if f.bin is Bin.EQUAL and f.sale is not None and f.orders and f.order_id is not None:
            order = next(o for o in f.orders if o.id == f.order_id)
            assert order.state in (None, f.sale.remote_state)
    subjects = Counter(f.subject for f in findings)
    assert not subjects or max(subjects.values()) == 1


def test_every_kind_and_resolution_has_words_and_a_legal_use():
    assert set(KIND_WORDS) == set(LEGAL) == set(DifferenceKind)
    assert (
        set(RESOLUTION_WORDS) == set(Resolution) == {r for legal in LEGAL.values() for r in legal}
    )
    checked(DifferenceKind.NOBODYS, Resolution.LINK)
    with pytest.raises(NotForThisCase):
        checked(DifferenceKind.PRICE_DIFFERS, Resolution.SEND_AGAIN)
    with pytest.raises(NotForThisCase):
        checked(None, Resolution.EXPLAIN)


def test_a_listed_order_is_read_in_either_version():
    v5 = {
        "id": "1",
        "creationDate": "2026-03-02T01:00:00Z",
        "externalId": [{"owner": "Yingwei", "id": "s-1"}],
        "channel": [{"channel": {"id": "field-visit"}}],
        "relatedParty": [
            {"role": "customer", "partyOrPartyRole": {"id": "C-1"}},
            {"role": "salesAgent", "partyOrPartyRole": {"id": "T-1"}},
        ],
        "productOrderItem": [
            {
                "quantity": 2,
                "productOffering": {"id": "TV-4K"},
                "itemPrice": [
                    {
                        "priceType": "recurring",
                        "price": {"taxIncludedAmount": {"value": 40.1, "unit": "CNY"}},
                    }
                ],
            }
        ],
    }
    v4 = {
        **v5,
        "externalId": "s-1",
        "orderDate": v5["creationDate"],
        "channel": [{"id": "field-visit"}],
        "relatedParty": [{"role": "customer", "id": "C-1"}, {"role": "salesAgent", "id": "T-1"}],
    }
    assert read_listed(v4) == read_listed(v5)
    read = read_listed(v5)
    assert read.lines == (Line("TV-4K", 2, 4010, 0),)
    assert (read.customer_number, read.technician_number) == ("C-1", "T-1")
    unpriced = {"productOffering": {"id": "TV-4K"}, "quantity": 2}
    mixed = read_listed({**v5, "productOrderItem": [*v5["productOrderItem"], unpriced]})
    assert mixed.lines == (Line("TV-4K", 2, None, None), Line("TV-4K", 2, 4010, 0))
    assert read_listed({"id": "2", "productOrderItem": [{"itemPrice": "?"}]}).lines == (
        Line("", 1, None, None),
    )


def test_what_was_not_delivered_is_not_listed_as_sold():
    items = [
        {"productOffering": {"id": "SPEED-1000"}, "state": "completed"},
        {"productOffering": {"id": "TV-4K"}, "state": "failed"},
    ]
    order = {"id": "1", "state": "partial", "productOrderItem": items}
    assert [line.offering_code for line in read_listed(order).lines] == ["SPEED-1000"]
    assert len(read_listed({**order, "state": "failed"}).lines) == 2


@pytest.mark.parametrize(
    ("missed_since", "still_open", "every", "until", "days"),
    [
        (20, [], 7, 0, [20]),
        (20, [], 7, 15, [20, 13, 6]),
        (18, [], 7, 7, [20, 19, 18, 13]),
        (20, [19, 13], 7, 7, [20, 19, 13]),
    ],
)
def test_the_days_of_a_night(missed_since, still_open, every, until, days):
    def day(number):
        return date(2026, 3, number)

    found = days_of_night(
        day(20),
        missed_since=day(missed_since),
        still_open=[day(each) for each in still_open],
        every=every,
        until=until,
    )
    assert found == [day(each) for each in days]
