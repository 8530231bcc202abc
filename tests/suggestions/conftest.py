"""A technician, a customer with a line, and a small catalogue."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.catalog.rules import BusinessType
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.visits import make_assigned_order, make_phone

# On a line of 300 Mbit/s that can do 1,000: what each is worth at rest, in fen, stands beside it.
CATALOGUE: list[Mapping[str, Any]] = [
    {
        "code": "FTTH-1000",
        "speed_mbps": 1000,
        "margin_12m_fen": 60_000,
        "expert_rate": 0.2,  # 12,000 - 300
        "contract_months": 12,
        "commission_fen": 3000,
    },
    {
        "code": "FTTR-2",
        "name_zh": "全屋光纤",
        "name_en": "Fibre to the room",
        "category": "home_wifi",
        "business_type": BusinessType.INCENTIVE,
        "monthly_price_fen": 2900,
        "one_off_price_fen": 19900,
        "margin_12m_fen": 40_000,
        "expert_rate": 0.15,  # 6,000 - 300
        "requires": ["broadband"],
        "install_minutes": 45,
        "commission_fen": 5000,
    },
    {
        "code": "TV-4K",
        "category": "tv",
        "margin_12m_fen": 20_000,
        "expert_rate": 0.2,  # 4,000 - 300
    },
    {
        "code": "CAMERA",
        "category": "security",
        "margin_12m_fen": 20_000,
        "expert_rate": 0.1,  # 2,000 - 300
    },
    {
        "code": "CARD-2ND",
        "category": "mobile",
        "business_type": BusinessType.STRATEGIC,
        "margin_12m_fen": 1000,
        "expert_rate": 0.1,  # 100 - 300
    },
    {
        "code": "RENEW-12",
        "category": "renewal",
        "business_type": BusinessType.RETENTION,
        "margin_12m_fen": 30_000,
        "expert_rate": 0.3,
    },
]


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def customer(tx, branch):
    return await make_customer(tx, org_unit=branch)


@pytest.fixture
async def line(tx, customer):
    await make_address(tx, customer)
    return await make_subscription(tx, customer)


@pytest.fixture
async def catalogue(tx):
    return {row["code"]: await make_offering(tx, **row) for row in CATALOGUE}


@pytest.fixture
async def order(tx, phone, customer, clock):
    return await make_assigned_order(tx, phone.technician, customer, now=clock.now())
