"""The catalogue comes in by YAML: versions, successions, withdrawals, and the same file twice."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import select

from app.catalog import queries
from app.catalog.loading import load_catalogue
from app.catalog.models import ProductOffering
from app.core.files import FileRefused

JAN, MAR, APR = date(2026, 1, 1), date(2026, 3, 1), date(2026, 4, 1)
ENTRY = """
- code: {code}
  valid_from: {valid_from}
  name: {{zh: 全屋WiFi, en: Whole-home Wi-Fi}}
  category: wifi
  business_type: incentive
  monthly_price_fen: {price}
  expert_rate: 0.12
  levers: [income]
  requires: [broadband]
  talk_track: {{zh: 每个房间都有信号。, en: Signal in every room.}}
"""


def entry(code="FTTR", valid_from=JAN, price=3900, extra=""):
    written = ENTRY.format(code=code, valid_from=valid_from, price=price)
    return written.rstrip() + (f"\n  {extra}\n" if extra else "\n")


async def load(tx, *entries, **options):
    return await load_catalogue(tx, "offerings:" + "".join(entries), **options)


def counts(report):
    return report.inserted, report.updated, report.unchanged, report.refused


async def versions(tx):
    rows = await tx.execute(
        select(
            ProductOffering.valid_from, ProductOffering.valid_to, ProductOffering.monthly_price_fen
        ).order_by(ProductOffering.valid_from)
    )
    return [tuple(row) for row in rows]


async def test_a_price_change_is_a_new_version_and_closes_the_old_one(tx):
    assert counts(await load(tx, entry())) == (1, 0, 0, 0)
    assert counts(await load(tx, entry(), entry(valid_from=MAR, price=2900))) == (1, 0, 1, 0)
    assert await versions(tx) == [(JAN, MAR, 3900), (MAR, None, 2900)]
    assert (await queries.in_force(tx, date(2026, 2, 28)))["FTTR"].monthly_price_fen == 3900
    assert (await queries.in_force(tx, MAR))["FTTR"].monthly_price_fen == 2900
    assert await queries.in_force(tx, date(2025, 12, 31)) == {}


async def test_the_same_file_again_changes_nothing_not_even_the_mark(tx):
    both = entry(), entry(valid_from=MAR, price=2900)
    await load(tx, *both)
    mark, before = await queries.mark(tx), await versions(tx)
    assert counts(await load(tx, *both)) == (0, 0, 2, 0)
    assert (await queries.mark(tx), await versions(tx)) == (mark, before)


async def test_an_offering_is_withdrawn(tx):
    await load(tx, entry())
    assert counts(await load(tx, entry(extra="valid_to: 2026-04-01"))) == (0, 1, 0, 0)
    assert await versions(tx) == [(JAN, APR, 3900)]
    assert "FTTR" not in await queries.in_force(tx, APR)


async def test_a_common_first_day(tx):
    one = entry().replace("  valid_from: 2026-01-01\n", "")
    await load_catalogue(tx, "valid_from: 2026-03-01\nofferings:" + one)
    assert await versions(tx) == [(MAR, None, 3900)]


@pytest.mark.parametrize(
    ("bad", "field"),
    [
        (entry(price=-1), "monthly_price_fen"),
        (entry().replace("incentive", "gift"), "business_type"),
        (entry().replace("[income]", "[luck]"), "levers.0"),
        (entry().replace("0.12", "1.2"), "expert_rate"),
        (entry().replace(", en: Whole-home Wi-Fi", ""), "name.en"),
        (entry(extra="colour: red"), "colour"),
        (entry(extra="valid_to: 2026-01-01"), None),
        (entry().replace("2026-01-01", "soon"), "valid_from"),
    ],
)
async def test_one_bad_entry_refuses_the_file_and_is_named_by_its_line(tx, bad, field):
    with pytest.raises(FileRefused) as refused:
        await load(tx, entry(code="GOOD"), bad)
    (fault,) = refused.value.facts["lines"]
    assert (fault["line"], fault["field"]) == (13, field)
    assert await versions(tx) == []
    report = await load(tx, entry(code="GOOD"), bad, skip_refused=True)
    assert counts(report) == (1, 0, 0, 1)


async def test_a_past_price_stays_and_nothing_of_the_file_is_loaded(tx):
    await load(tx, entry())
    with pytest.raises(FileRefused) as refused:
        await load(tx, entry(code="GOOD"), entry(price=1))
    assert refused.value.facts["lines"][0]["field"] == "valid_from"
    assert await versions(tx) == [(JAN, None, 3900)]


async def test_what_a_process_holds_is_never_older_than_the_catalogue(real_database):
    """Another process changes a price: this one sees it with the next read, and never before."""
    async with real_database.begin() as tx:
        await load(tx, entry())
    async with real_database.read() as read:
        assert (await queries.in_force(read, MAR))["FTTR"].monthly_price_fen == 3900
        async with real_database.begin() as tx:
            await load(tx, entry(valid_from=MAR, price=1))
            assert (await queries.in_force(tx, MAR))["FTTR"].monthly_price_fen == 1
            await tx.rollback()  # that price never was
        assert (await queries.in_force(read, MAR))["FTTR"].monthly_price_fen == 3900
        async with real_database.begin() as tx:
            await load(tx, entry(valid_from=MAR, price=2900))
        assert (await queries.in_force(read, MAR))["FTTR"].monthly_price_fen == 2900


async def test_two_loads_at_once_come_one_after_the_other(real_database):
    async def load_it():
        async with real_database.begin() as tx:
            return await load(tx, entry())

    reports = await asyncio.gather(load_it(), load_it())
    assert sorted(counts(report) for report in reports) == [(0, 0, 1, 0), (1, 0, 0, 0)]
