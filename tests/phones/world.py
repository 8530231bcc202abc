"""The world of the phones: a branch with three technicians, their customers and a catalogue."""

import itertools
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Role
from app.catalog.rules import BusinessType
from tests.make.auth import PASSWORD, make_account, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal

__all__ = ["PASSWORD", "World", "make_world"]

# Usernames; the first technician has two phones.
TECHNICIANS = ("zhao", "qian", "sun")
SUPERVISOR, ADMIN, SENDER = "li", "wu", "fault-system"
CUSTOMERS = 24
TERMINALS_EACH = 12
# Where the customers live, in WGS-84 degrees.
LON, LAT = 112.6, 28.9


@dataclass(frozen=True)
class World:
    """Who is there, as far as it is asked for by id or code."""

    branch_id: UUID
    technicians: dict[str, UUID]
    accounts: dict[str, UUID]
    customers: list[str]


async def make_world(tx: AsyncSession) -> World:
    """Add all of it."""
    branch = await make_org_unit(tx)
    technicians, accounts = {}, {}
    for name in TECHNICIANS:
        person = await make_technician(tx, org_unit=branch, name=name)
        account = await make_account(
            tx, branch, role=Role.TECHNICIAN, username=name, technician_id=person.id
        )
        technicians[name], accounts[name] = person.id, account.id
        for _ in range(TERMINALS_EACH):
            await make_terminal(tx, branch, technician_id=person.id)
    await make_account(tx, branch, role=Role.SUPERVISOR, username=SUPERVISOR)
    await make_account(tx, branch, role=Role.ADMIN, username=ADMIN)
    await make_account(tx, branch, role=Role.INTEGRATION, username=SENDER)
    offered: dict[str, dict[str, Any]] = {
        "FTTH-1000": {"speed_mbps": 1000, "contract_months": 12, "margin_12m_fen": 60_000},
        "TV-4K": {"category": "tv", "monthly_price_fen": 3000, "margin_12m_fen": 20_000},
        "CAMERA": {"category": "security", "monthly_price_fen": 1500, "margin_12m_fen": 20_000},
        "FTTR-2": {
            "category": "home_wifi",
            "business_type": BusinessType.INCENTIVE,
            "monthly_price_fen": 2900,
            "one_off_price_fen": 19_900,
            "margin_12m_fen": 40_000,
        },
    }
    for code, fields in offered.items():
        await make_offering(tx, code=code, expert_rate=0.2, **fields)
    customers = []
    for number in range(CUSTOMERS):
        customer = await make_customer(
            tx, org_unit=branch, code=f"C{number:03}", phone=f"154{number:08}"
        )
        await make_address(tx, customer, standard_address=f"碧波园{number}栋1单元101室")
        await make_subscription(tx, customer, service_number=f"S{number:03}")
        customers.append(customer.code)
    return World(branch.id, technicians, accounts, customers)


_numbers = itertools.count(1)


def order_body(customer: str, now: datetime) -> dict[str, object]:
    """Write a repair as the fault system sends it."""
    return {
        "source": "faults",
        "external_id": f"F{next(_numbers):05}",
        "work_type": "repair",
        "customer_code": customer,
        "contact_name": "王小明",
        "contact_phone": "15412341234",
        "address": "碧波园",
        "point": {"lon": LON, "lat": LAT, "coordsys": "wgs84"},
        "estimated_minutes": 30,
        "reported_at": now.isoformat(),
        "summary": "宽带断网",
    }
