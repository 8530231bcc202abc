"""A made town whose customers differ in all that bears on where they stand."""

from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import Rows, new_id, put
from app.lifecycle.rules import plus_months
from seed.churn import load_churn_cards

CARD = Path(__file__).resolve().parents[2] / "seed" / "churn_card.yaml"


async def make_card(tx: AsyncSession) -> None:
    """Load the demo city's churn card."""
    await load_churn_cards(tx, CARD.read_text("utf-8"))


async def make_town(
    tx: AsyncSession, unit: OrgUnit, day: date, now: datetime, *, count: int, seed: int
) -> list[UUID]:
    """Add so many customers of a unit, their services, months and contacts; the same each time."""
    dice = Random(seed)
    customers: list[Any] = []
    services: list[Any] = []
    months: list[Any] = []
    contacts: list[Any] = []

    def maybe(share: float, value: Any) -> Any:
        return value if dice.random() < share else None

    for nth in range(count):
        each = new_id()
        age = dice.choice((0, 30, 89, 90, 91, 200, 360, 365, 366, 370, 800, 2000))
        began = day - timedelta(days=age)
        left = maybe(0.12, day - timedelta(days=dice.randrange(0, 200)))
        customers.append(
            (
                *(each, unit.id, f"T{seed}-{nth}", "王小明", "15400001234", "household"),
                *(maybe(0.9, began), left, maybe(0.9, dice.choice((0, 0, 0, 6000)))),
                *(maybe(0.3, dice.random() < 0.3), now),
            )
        )
        for number in range(dice.choice((0, 1, 1, 2, 3))):
            starts = began + timedelta(days=dice.choice((0, 0, 0, 40, 300)))
            ends = maybe(0.2, starts + timedelta(days=dice.randrange(1, 500)))
            services.append(
                (
                    *(new_id(), each, f"S{seed}-{nth}-{number}"),
                    *(dice.choice(("CAM-HOME", "FTTR-2", "PLAN-300")), "broadband", 9900),
                    *(maybe(0.8, dice.choice((100, 300, 1000))), starts),
                    *(maybe(0.6, day + timedelta(days=dice.randrange(-40, 300))), ends, now),
                )
            )
        income, usage = dice.randrange(2000, 30000), dice.randrange(20, 400)
        falls = dice.random() < 0.3
        for back in range(1, 14):
            if dice.random() < 0.1 or (nth % 5 == 0 and back > dice.randrange(1, 5)):
                continue
            share = dice.random() if falls and back < 4 else 1.0
            months.append(
                (
                    *(each, plus_months(day.replace(day=1), -back)),
                    *(maybe(0.9, int(income * share)), maybe(0.9, int(usage * share)), now),
                )
            )
        for _ in range(dice.choice((0, 0, 1, 2, 4))):
            at = now - timedelta(days=dice.randrange(0, 120), hours=dice.randrange(1, 24))
            kind = dice.choice(("complaint", "fault", "cancellation", "sales", "service"))
            contacts.append((new_id(), each, at, "phone", kind, "…"))
    await put(
        tx,
        Rows(
            "customer",
            "id org_unit_id code name phone segment activated_on disconnected_on arrears_fen"
            " blacklisted as_of",
            customers,
        ),
        Rows(
            "subscription",
            "id customer_id service_number offering_code category monthly_price_fen speed_mbps"
            " started_on contract_ends_on ended_on as_of",
            services,
        ),
        Rows("customer_month", "customer_id month income_fen usage_gb as_of", months),
        Rows("interaction", "id customer_id at channel kind subject", contacts),
    )
    return [row[0] for row in customers]
