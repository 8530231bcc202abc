"""What a customer is shown, how often they are asked, and what a reply means."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.phone import rules as phone
from app.real_name.rules import AgeGroup
from app.sales.rules import (
    ConsentAskedEnough,
    ConsentNotOfThisSale,
    Discount,
    Protection,
    RequestState,
    ShownItem,
    TermsChanged,
    may_ask,
    of_this_sale,
    price_words,
    protection_of,
    read_reply,
    shown_hash,
    shown_state,
    shown_text,
    terms_unchanged,
)
from app.sales.rules.asking import Reply

SALE, CUSTOMER = UUID(int=1), UUID(int=2)
ITEM = ShownItem("FTTR-2", 1, 2900, 5000, 24)
NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)


def test_what_is_shown_is_written_in_one_form():
    other = ShownItem("TV-4K", 2, 2000, 0, None)
    assert shown_text(SALE, CUSTOMER, [ITEM, other]) == (
        "yingwei consent 1\n"
        "sale 00000000-0000-0000-0000-000000000001\n"
        "customer 00000000-0000-0000-0000-000000000002\n"
        "item FTTR-2 1 2900 5000 24\n"
        "item TV-4K 2 2000 0 -\n"
    )


def test_what_is_shown_tells_a_discount_only_where_there_is_one():
    reduced = ITEM._replace(discount=Discount(20, 6))
    assert shown_text(SALE, CUSTOMER, [reduced]).endswith("item FTTR-2 1 2900 5000 24 2320 6\n")
    standard = ITEM._replace(discount=Discount.of(0, 0))
    assert shown_text(SALE, CUSTOMER, [standard]).endswith("item FTTR-2 1 2900 5000 24\n")


@settings(max_examples=25)
@given(st.sampled_from(ShownItem._fields[:5]), st.integers(1, 10**6))
def test_whatever_is_another_sale_has_another_hash(name, by):
    before = shown_hash(SALE, CUSTOMER, [ITEM])
    value = getattr(ITEM, name)
    after = {name: f"{value}{by}" if isinstance(value, str) else value + by}
    assert shown_hash(SALE, CUSTOMER, [ShownItem(**(ITEM._asdict() | after))]) != before
    assert shown_hash(UUID(int=by + 1), CUSTOMER, [ITEM]) != before
    assert shown_hash(SALE, UUID(int=by + 2), [ITEM]) != before
    assert shown_hash(SALE, CUSTOMER, [ITEM, ITEM]) != before
    with pytest.raises(ConsentNotOfThisSale):
        of_this_sale(before, shown_hash(SALE, UUID(int=by + 2), [ITEM]))


def test_a_longer_contract_is_refused_with_both():
    terms_unchanged([ITEM._replace(contract_months=None)], [ITEM])
    with pytest.raises(TermsChanged) as refused:
        terms_unchanged([ITEM], [ITEM._replace(contract_months=36)])
    assert refused.value.facts["named"] == ["FTTR-2 24 → 36"]


def test_the_price_is_said_as_a_whole():
    items = [ITEM, ShownItem("TV-4K", 2, 2000, 0, 12)]
    assert price_words(items, "zh") == "每月 ¥69.00，一次性 ¥50.00，合约期 24 个月"
    assert price_words([items[1]._replace(contract_months=0)], "en") == "¥40.00 a month"


def test_the_price_is_said_for_as_long_as_a_discount_lasts_and_for_afterwards():
    reduced = ShownItem("RENEW-24", 1, 9900, 0, None, Discount(20, 6))
    assert price_words([reduced], "zh") == "首6个月每月 ¥79.20，之后每月 ¥99.00"
    assert (
        price_words([reduced], "en") == "¥79.20 a month for the first 6 months, then ¥99.00 a month"
    )
    both = [reduced, ITEM._replace(discount=Discount(50, 12))]
    assert price_words(both, "zh") == (
        "首6个月每月 ¥93.70，至第12个月每月 ¥113.50，之后每月 ¥128.00，一次性 ¥50.00，"
        "合约期 24 个月"
    )
    assert price_words(both, "en") == (
        "¥93.70 a month for the first 6 months, ¥113.50 a month up to month 12, then ¥128.00 a"
        " month and ¥50.00 once, for 24 months"
    )


@pytest.mark.parametrize(
    ("fen", "percent", "pays"),
    [
        (9900, 20, 7920),
        (9900, 100, 0),
        (2999, 50, 1500),  # half a fen is rounded up
        (2999, 12.5, 2624),
        (1001, 0.1, 1000),
        (0, 20, 0),
    ],
)
def test_a_discount_is_rounded_to_whole_fen(fen, percent, pays):
    assert Discount(percent, 6).price_fen(fen) == pays
    # The phone comes to the same, or what is signed offline would not be what is sold.
    assert phone.Terms("", percent, 6).price_fen(fen) == pays


@pytest.mark.parametrize(
    ("minutes", "left", "wait"),
    [([], 2, None), ([61, 62, 63], 2, None), ([10, 20], 0, None), ([10, 20, 59], None, 60)],
)
def test_a_customer_is_asked_so_often_an_hour(minutes, left, wait):
    earlier = [NOW - timedelta(minutes=each) for each in minutes]
    if wait is None:
        assert may_ask(earlier, NOW, most=3) == left
        return
    with pytest.raises(ConsentAskedEnough) as refused:
        may_ask(earlier, NOW, most=3)
    assert refused.value.facts == {"sent": 3, "retry_after": wait}


@pytest.mark.parametrize(
    ("text", "reply"),
    [
        ("Y3821", Reply(True, "3821")),
        (" y 3821. ", Reply(True, "3821")),
        ("\uff393821", Reply(True, "3821")),
        ("同意", Reply(True, None)),
        ("同意3821！", Reply(True, "3821")),
        ("不同意", Reply(False, None)),
        ("n3821", Reply(False, "3821")),
        ("NO", Reply(False, None)),
        ("Y38219", None),
        ("也许同意", None),
        ("3821", None),
        ("", None),
        ("Yes please, and tell me when", None),
    ],
)
def test_replies_are_read_as_people_type_them(text, reply):
    assert read_reply(text) == reply


@settings(max_examples=50)
@given(st.text(max_size=30))
def test_no_text_breaks_the_reading(text):
    reply = read_reply(text)
    assert reply is None or isinstance(reply.agrees, bool)


def test_what_was_asked_expires_unless_it_was_answered():
    later = NOW + timedelta(seconds=1)
    assert shown_state(RequestState.ASKED, NOW, NOW) is RequestState.ASKED
    assert shown_state(RequestState.ASKED, NOW, later) is RequestState.EXPIRED
    assert shown_state(RequestState.AGREED, NOW, later) is RequestState.AGREED


@pytest.mark.parametrize(
    ("elderly", "flagged", "age_group", "protection"),
    [
        (False, False, None, None),
        (False, False, AgeGroup.ADULT, None),
        (True, False, AgeGroup.ADULT, Protection.ELDERLY),
        (False, False, AgeGroup.ELDERLY, Protection.ELDERLY),
        (True, True, None, Protection.FLAGGED),
        (True, True, AgeGroup.MINOR, Protection.MINOR),
    ],
)
def test_who_is_protected(elderly, flagged, age_group, protection):
    found = protection_of(elderly=elderly, flagged=flagged, age_group=age_group)
    assert found is protection
