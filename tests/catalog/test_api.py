"""The catalogue over HTTP: as of a day, in both languages, and 304 for who has it already."""

from datetime import date

import pytest

from app.auth.rules import Role
from app.catalog.rules import BusinessType
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.catalog import make_offering


@pytest.fixture
async def phone(app, tx):
    return bearer(app, caller_for(Role.TECHNICIAN, await make_org_unit(tx)))


async def test_today_in_both_languages_without_what_it_earns(http, tx, phone):
    await make_offering(tx, code="A", margin_12m_fen=77777, expert_rate=0.33)
    await make_offering(tx, code="OLD", valid_to=date(2026, 3, 2))
    await make_offering(tx, code="AHEAD", valid_from=date(2026, 3, 3))
    answer = await http.get("/v1/offerings", headers=phone)
    assert answer.json()["day"] == "2026-03-02"
    (shown,) = answer.json()["offerings"]
    assert shown["code"] == "A"
    assert shown["name"] == {"zh": "宽带提速至1000M", "en": "Broadband at 1,000 Mbit/s"}
    assert shown["on_site"] == "sell"
    assert "77777" not in answer.text
    assert "0.33" not in answer.text


async def test_another_day(http, tx, phone):
    await make_offering(tx, code="A", valid_to=date(2026, 4, 1), monthly_price_fen=9900)
    await make_offering(tx, code="A", valid_from=date(2026, 4, 1), monthly_price_fen=7900)

    async def price(day):
        answer = await http.get("/v1/offerings/A", params={"day": day}, headers=phone)
        return answer.json().get("monthly_price_fen", answer.status_code)

    assert await price("2026-03-31") == 9900
    assert await price("2026-04-01") == 7900
    assert await price("2024-01-01") == 404


async def test_today_is_the_org_units_day(app, http, tx, clock):
    """At nine in Shanghai it is still the day before in New York, with yesterday's prices."""
    there = await make_org_unit(tx, time_zone="America/New_York")
    headers = bearer(app, caller_for(Role.TECHNICIAN, there))
    answer = await http.get("/v1/offerings", headers=headers)
    assert answer.json()["day"] == "2026-03-01"


async def test_who_has_the_catalogue_gets_304_until_it_changes(http, tx, phone):
    await make_offering(tx, code="A")
    first = await http.get("/v1/offerings", headers=phone)
    tag = first.headers["etag"]
    again = await http.get("/v1/offerings", headers={**phone, "if-none-match": tag})
    assert (again.status_code, again.content) == (304, b"")
    weak = await http.get("/v1/offerings", headers={**phone, "if-none-match": f'"x", W/{tag}'})
    assert weak.status_code == 304
    other_day = await http.get(
        "/v1/offerings?day=2026-03-03", headers={**phone, "if-none-match": tag}
    )
    assert other_day.status_code == 200
    await make_offering(tx, code="B")
    changed = await http.get("/v1/offerings", headers={**phone, "if-none-match": tag})
    assert [one["code"] for one in changed.json()["offerings"]] == ["A", "B"]
    assert changed.headers["etag"] != tag


@pytest.mark.parametrize(
    ("business_type", "on_site"),
    [
        (BusinessType.SALES, "sell"),
        (BusinessType.STRATEGIC, "lead_only"),
        (BusinessType.RETENTION, "standard_only"),
        (BusinessType.SENSITIVE, "face_to_face"),
    ],
)
async def test_phones_are_told_what_may_be_done_at_the_door(
    http, tx, phone, business_type, on_site
):
    await make_offering(tx, code="A", business_type=business_type)
    assert (await http.get("/v1/offerings/A", headers=phone)).json()["on_site"] == on_site


async def test_who_is_not_signed_in_sees_nothing(http):
    assert (await http.get("/v1/offerings")).status_code == 401
