"""Toolkits, care rules, warnings and leavers for tests: the smallest honest ones."""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.keys import KeyRing
from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import database_of, new_id
from app.customers.models import Customer
from app.lifecycle.models import LifecycleChange
from app.lifecycle.rules import ChangeKind
from app.retention.models import CareRule, FormerCustomer, RetentionToolkit, SpecialTerms
from app.retention.rules import Handling, LeaveReason, LeaverSource, ToolkitKind
from app.retention.rules.terms import Asked
from app.retention.rules.toolkits import Terms
from app.retention.service import terms
from tests.make.auth import caller_for, make_account

CONTENT: dict[str, Any] = {
    "kind": "retention",
    "name": {"zh": "挽留包", "en": "Keeping"},
    "offers": ["RENEW-24"],
    "talk_track": {"zh": "您好", "en": "Hello"},
    "mandates": [
        {"hand": "technician", "discount_percent": 5, "months": 3},
        {"hand": "supervisor", "discount_percent": 10, "months": 6},
        {"hand": "manager", "discount_percent": 30, "months": 12},
    ],
    "approval": ["supervisor", "manager"],
    "steps": [
        {"discount_percent": 5, "months": 3},
        {"discount_percent": 10, "months": 6},
        {"discount_percent": 20, "months": 6},
        {"discount_percent": 30, "months": 12},
    ],
}


async def make_toolkit(tx: AsyncSession, **content: Any) -> RetentionToolkit:
    """Add a toolkit for all: a technician gives 5 %, a supervisor 10 and a manager 30."""
    said = {**CONTENT, **content}
    row = RetentionToolkit(
        id=new_id(),
        code=f"K{new_id().hex[-8:]}",
        version=1,
        org_path="",
        kind=ToolkitKind(said["kind"]),
        valid_from=date(2020, 1, 1),
        content=said,
    )
    tx.add(row)
    await tx.flush()
    # This process would remember for some seconds that there is none.
    database_of(tx).cache.clear()
    return row


async def make_terms(
    tx: AsyncSession,
    customer: Customer,
    offering_code: str,
    keys: KeyRing,
    *,
    now: datetime,
    percent: float = 20,
    months: int = 6,
) -> tuple[SpecialTerms, str]:
    """Let a manager approve special terms for a customer; returns them with their code."""
    unit = await tx.get_one(OrgUnit, customer.org_unit_id)
    account = await make_account(tx, unit, role=Role.ADMIN)
    caller = caller_for(Role.ADMIN, unit, account_id=account.id)
    asked = Asked(
        new_id(), customer.id, ToolkitKind.RETENTION, offering_code, Terms(percent, months), "why"
    )
    special = await terms.ask(tx, asked, caller, keys, now=now)
    code = terms.code_of(special, keys)
    assert code is not None
    return special, code


async def make_care_rule(tx: AsyncSession, **fields: Any) -> CareRule:
    """Add a rule for all: everybody with a warning is visited."""
    given: dict[str, Any] = {
        "id": new_id(),
        "code": f"R{new_id().hex[-8:]}",
        "org_path": "",
        "valid_from": date(2020, 1, 1),
        "valid_to": None,
        "place": 10,
        "causes": [],
        "tiers": [],
        "churn_classes": [],
        "hidden": False,
        "handling": Handling.VISIT,
        "priority": 2,
    }
    rule = CareRule(**{**given, **fields})
    tx.add(rule)
    await tx.flush()
    database_of(tx).cache.clear()
    return rule


async def make_warning(
    tx: AsyncSession, customer: Customer, *, at: datetime, **fields: Any
) -> LifecycleChange:
    """Add that a customer has become likely to leave."""
    given: dict[str, Any] = {
        "id": new_id(),
        "run_id": new_id(),
        "customer_id": customer.id,
        "org_unit_id": customer.org_unit_id,
        "kind": ChangeKind.CHURN_CLASS,
        "before": "mid",
        "after": "high",
        "rule": "churn.high",
        "inputs": {},
        "warns": True,
        "at": at,
    }
    change = LifecycleChange(**{**given, **fields})
    tx.add(change)
    await tx.flush()
    return change


async def make_leaver(
    tx: AsyncSession, customer: Customer, *, left_on: date, now: datetime, **fields: Any
) -> FormerCustomer:
    """Add that a customer left for the price and can be reached."""
    given: dict[str, Any] = {
        "org_unit_id": customer.org_unit_id,
        "customer_id": customer.id,
        "left_on": left_on,
        "reason": LeaveReason.PRICE,
        "reachable": True,
        "source": LeaverSource.CRM,
        "recorded_at": now - timedelta(days=1),
    }
    former = FormerCustomer(**{**given, **fields})
    tx.add(former)
    await tx.flush()
    return former


async def lies_in(tx: AsyncSession, address_id: Any, grid_id: Any) -> None:
    """Say in which grid an address lies, as following the map would."""
    await tx.execute(
        text(
            "INSERT INTO address_grid (service_address_id, grid_id, listed, near_border)"
            " VALUES (:address, :grid, false, false)"
        ),
        {"address": address_id, "grid": grid_id},
    )
