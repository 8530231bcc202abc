"""Terminals for tests: the smallest honest ones."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.terminals.models import Terminal
from app.terminals.rules import Pool, TerminalKind


async def make_terminal(
    tx: AsyncSession,
    org_unit: OrgUnit,
    *,
    technician_id: UUID | None = None,
    customer_id: UUID | None = None,
    **fields: Any,
) -> Terminal:
    """Add an ONT gateway in a van, at a customer's, or else in the warehouse."""
    pool = Pool.WAREHOUSE
    if technician_id is not None:
        pool = Pool.VAN
    elif customer_id is not None:
        pool = Pool.CUSTOMER
    given: dict[str, Any] = {
        "org_unit_id": org_unit.id,
        "serial_number": f"SN{new_id().hex[-10:].upper()}",
        "kind": TerminalKind.ONT_GATEWAY,
        "model": "HG-8145",
        "pool": pool,
        "technician_id": technician_id,
        "customer_id": customer_id,
    }
    terminal = Terminal(**{**given, **fields})
    tx.add(terminal)
    await tx.flush()
    return terminal
