"""The rules of a sale as tables: its moves, when it may be made, what consent must show."""

from datetime import UTC, datetime, timedelta
from itertools import product
from uuid import UUID

import pytest

from app.core.errors import Problem
from app.sales.rules import (
    MOVES,
    Change,
    ConsentOutOfTime,
    Discount,
    DiscountChanged,
    Line,
    NotInTheCatalogue,
    NotSoldAtTheDoor,
    PriceChanged,
    SaleRefused,
    SaleState,
    VisitNotBegun,
    VisitOver,
    changed,
    consent_in_time,
    content_hash,
    move,
    reached,
    sale_content,
    within_visit,
)

DRAFT, CONFIRMED, SENT = SaleState.DRAFT, SaleState.CONFIRMED, SaleState.SENT
ACKNOWLEDGED, REJECTED = SaleState.ACKNOWLEDGED, SaleState.REJECTED
COMPLETED, CANCELLED = SaleState.COMPLETED, SaleState.CANCELLED
CANCELLING = SaleState.CANCELLING

SECOND = SaleState.SECOND_CONFIRMATION

LEGAL = {
    (DRAFT, SECOND),
    (SECOND, CONFIRMED),
    (SECOND, CANCELLED),
    (DRAFT, CONFIRMED),
    (DRAFT, CANCELLED),
    (CONFIRMED, SENT),
    (CONFIRMED, ACKNOWLEDGED),
    (CONFIRMED, REJECTED),
    (CONFIRMED, COMPLETED),
    (CONFIRMED, CANCELLED),
    (SENT, ACKNOWLEDGED),
    (SENT, REJECTED),
    (SENT, COMPLETED),
    (SENT, CANCELLED),
    (ACKNOWLEDGED, REJECTED),
    (ACKNOWLEDGED, COMPLETED),
    (ACKNOWLEDGED, CANCELLED),
    (CONFIRMED, CANCELLING),
    (SENT, CANCELLING),
    (ACKNOWLEDGED, CANCELLING),
    (CANCELLING, REJECTED),
    (CANCELLING, COMPLETED),
    (CANCELLING, CANCELLED),
}


@pytest.mark.parametrize(("state", "wanted"), list(product(SaleState, SaleState)))
def test_a_sale_moves_only_forward(state, wanted):
    assert reached(state, wanted) is ((state, wanted) in LEGAL)
    if (state, wanted) in LEGAL:
        assert move(state, wanted) is wanted
    else:
        with pytest.raises(SaleRefused) as refused:
            move(state, wanted)
        assert refused.value.facts == {"state": state.value, "wanted": wanted.value}


def test_every_state_has_its_moves_and_three_have_none():
    assert set(MOVES) == set(SaleState)
    assert {s for s in SaleState if not MOVES[s]} == {REJECTED, COMPLETED, CANCELLED}


NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("checked_in_at", "ended_at", "refusal"),
    [
        (None, None, VisitNotBegun),
        (NOW - HOUR, None, None),
        (NOW - HOUR, NOW, None),
        # The phone was offline; three days are the default.
        (NOW - 73 * HOUR, NOW - 72 * HOUR, None),
        (NOW - 99 * HOUR, NOW - 72 * HOUR - timedelta(seconds=1), VisitOver),
    ],
)
def test_a_sale_belongs_to_a_visit_that_is_not_long_over(checked_in_at, ended_at, refusal):
    def check() -> None:
        within_visit(checked_in_at=checked_in_at, ended_at=ended_at, now=NOW, late_hours=72)

    if refusal is None:
        check()
    else:
        with pytest.raises(refusal):
            check()


MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize(
    ("given", "in_time"),
    [
        (timedelta(), True),
        (5 * MINUTE, True),
        (30 * MINUTE, True),
        # Clocks of phones are wrong by minutes.
        (-10 * MINUTE, True),
        (40 * MINUTE, True),
        (-10 * MINUTE - timedelta(seconds=1), False),
        (40 * MINUTE + timedelta(seconds=1), False),
    ],
)
def test_consent_lies_between_the_sale_and_now(given, in_time):
    made_at = NOW - 30 * MINUTE
    if in_time:
        consent_in_time(made_at + given, made_at, NOW)
    else:
        with pytest.raises(ConsentOutOfTime):
            consent_in_time(made_at + given, made_at, NOW)


@pytest.mark.parametrize(
    ("seen_monthly", "seen_one_off", "changes"),
    [
        (None, None, []),
        (2900, None, []),
        (2900, 10000, []),
        (3900, None, [Change("FTTR-2", "monthly", 3900, 2900)]),
        (2900, 0, [Change("FTTR-2", "one_off", 0, 10000)]),
        (
            0,
            0,
            [Change("FTTR-2", "monthly", 0, 2900), Change("FTTR-2", "one_off", 0, 10000)],
        ),
    ],
)
def test_a_price_is_compared_with_what_the_customer_saw(seen_monthly, seen_one_off, changes):
    line = Line("FTTR-2", 1, seen_monthly, seen_one_off)
    assert changed(line, monthly_fen=2900, one_off_fen=10000) == changes


ONE, OTHER = UUID(int=1), UUID(int=2)
LINE = Line("FTTR-2", 1, 2900, None, ONE)


@pytest.mark.parametrize(
    ("visit_id", "lines", "note", "same"),
    [
        (ONE, [LINE], None, True),
        (OTHER, [LINE], None, False),
        (ONE, [LINE, LINE], None, False),
        (ONE, [], None, False),
        (ONE, [Line("FTTR-3", 1, 2900, None, ONE)], None, False),
        (ONE, [Line("FTTR-2", 2, 2900, None, ONE)], None, False),
        (ONE, [Line("FTTR-2", 1, 3900, None, ONE)], None, False),
        (ONE, [Line("FTTR-2", 1, 2900, 0, ONE)], None, False),
        (ONE, [Line("FTTR-2", 1, 2900, None, OTHER)], None, False),
        (ONE, [Line("FTTR-2", 1, 2900, None, ONE, "AB12C-3D4EF")], None, False),
        (ONE, [LINE], "please call first", False),
    ],
)
def test_what_makes_two_sales_the_same(visit_id, lines, note, same):
    first = content_hash(sale_content(ONE, [LINE], None))
    assert (content_hash(sale_content(visit_id, lines, note)) == first) is same


def test_a_sale_without_a_code_is_the_same_as_before_there_were_any():
    lines = [["FTTR-2", 1, 2900, None, str(ONE)]]
    before = content_hash({"visit": str(ONE), "lines": lines, "note": None})
    assert content_hash(sale_content(ONE, [LINE], None)) == before


@pytest.mark.parametrize(
    ("problem", "status", "zh", "en"),
    [
        (SaleRefused(state=SENT, wanted=CANCELLED), 409, "现为 sent", "is sent and cannot become"),
        (VisitNotBegun(), 409, "先签到", "Check in first"),
        (VisitOver(ended_at=NOW, hours=72), 409, "补录时限为 72", "up to 72 hours"),
        (
            NotSoldAtTheDoor(offering="VPN-9", on_site="lead_only"),
            409,
            "VPN-9 只能登记商机",
            "For VPN-9 only a lead",
        ),
        (
            NotInTheCatalogue(offerings=["A-1", "B-2"]),
            422,
            "A-1、B-2 今天没有",
            "A-1, B-2 cannot be sold",
        ),
        (
            PriceChanged([Change("FTTR-2", "monthly", 2900, 3950)]),
            409,
            "FTTR-2 ¥29.00 → ¥39.50",
            "FTTR-2 ¥29.00 → ¥39.50",
        ),
        (
            DiscountChanged("FTTR-2", Discount(20, 6), Discount(12.5, 3)),
            409,
            "FTTR-2 20% × 6 → 12.5% × 3",
            "FTTR-2 20% × 6 → 12.5% × 3",
        ),
        (
            ConsentOutOfTime(given_at=NOW, made_at=NOW + HOUR),
            422,
            "必须在下单",
            "must lie after the sale",
        ),
    ],
)
def test_each_refusal_says_in_both_languages_what_can_be_done(problem, status, zh, en):
    assert isinstance(problem, Problem)
    assert problem.status == status
    assert zh in problem.detail("zh")
    assert en in problem.detail("en")
    assert problem.title.zh != problem.title.en
    # Nothing was left without its fact.
    assert "—" not in problem.detail("zh") + problem.detail("en")
