"""Talk tracks name only what the catalogue itself can say."""

from datetime import date

import pytest

from app.catalog.loading import EntryIn
from app.catalog.queries import in_force, talk_track_of
from app.suggestions.rules.talk import OPENING, opening, price, yuan
from tests.make.catalog import make_offering


def entry(zh, en="Fine", **fields):
    return EntryIn.model_validate(
        {
            "code": "FTTR-2",
            "valid_from": "2026-01-01",
            "name": {"zh": "全屋光纤", "en": "Fibre to the room"},
            "category": "home_wifi",
            "business_type": "sales",
            "monthly_price_fen": 2900,
            "expert_rate": 0.1,
            "talk_track": {"zh": zh, "en": en},
            **fields,
        }
    )


@pytest.mark.parametrize(
    ("zh", "fields", "fault"),
    [
        ("{name}", {}, None),
        ("{name} 可达 {speed_mbps}M", {"speed_mbps": 1000}, None),
        ("{name} 可达 {speed_mbps}M", {}, "speed_mbps"),
        ("约 {install_minutes} 分钟", {"install_minutes": 45}, None),
        ("合约 {contract_months} 个月", {}, "contract_months"),
        ("每月 {monthly_price_fen}", {}, "monthly_price_fen"),
        ("{customer}", {}, "customer"),
        ("{", {}, "Single '{'"),
        ("{0}", {}, "0"),
        ("{name:>{install_minutes}}", {}, "name:"),
        ("{name.__class__}", {}, "name.__class__"),
    ],
)
def test_slots_are_checked_when_the_catalogue_is_loaded(zh, fields, fault):
    if fault is None:
        assert entry(zh, **fields).talk_track.zh == zh
        return
    with pytest.raises(ValueError, match=r"talk_track\.zh") as refused:
        entry(zh, **fields)
    assert fault in str(refused.value)


async def test_slots_are_filled_from_the_offering(tx):
    made = await make_offering(
        tx, talk_track_zh="{name}，{speed_mbps}M", talk_track_en="{name}", speed_mbps=1000
    )
    row = (await in_force(tx, date(2026, 3, 2)))[made.code]
    assert talk_track_of(row, "zh") == "宽带提速至1000M，1000M"
    assert talk_track_of(row, "en") == "Broadband at 1,000 Mbit/s"


@pytest.mark.parametrize(
    ("prices", "zh", "en"),
    [
        ((12900, 0, 0), "每月 129 元。", "129 yuan a month."),
        ((990, 19900, 0), "每月 9.9 元，一次性费用 199 元。", "9.9 yuan a month, 199 yuan once."),
        (
            (12900, 0, 24),
            "每月 129 元，合约 24 个月。",
            "129 yuan a month, with a contract of 24 months.",
        ),
        # A renewal leaves the bill as it is, a line paid ahead has none, and help is for free.
        (
            (0, 0, 24),
            "不另收费，合约 24 个月。",
            "Nothing extra to pay, with a contract of 24 months.",
        ),
        (
            (0, 99000, 12),
            "一次性费用 990 元，合约 12 个月。",
            "990 yuan once, with a contract of 12 months.",
        ),
        ((0, 0, 0), "不另收费。", "Nothing extra to pay."),
    ],
)
def test_the_price_is_said_whole(prices, zh, en):
    monthly, once, months = prices
    said = [price(monthly, once, months, "zh"), price(monthly, once, months, "en")]
    assert said == [zh, en]
    assert yuan(100) == "1"
    assert opening("move", "en") == OPENING.en


@pytest.mark.parametrize(("kind", "done"), [("repair", True), ("install", False), ("move", False)])
def test_nothing_is_said_to_be_done_that_may_be_offered_beside_before_it_is(kind, done):
    assert any(word in opening(kind, "en") for word in ("works again", "ready", "all for")) is done
    assert any(word in opening(kind, "zh") for word in ("恢复", "装好", "完成")) is done
