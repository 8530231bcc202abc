"""What the day's sales have earned, asked through the public API: do statements, the ledger and the
sales come to the same?"""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from app.commissions.rules.reckoning import FIRST_PERCENT, first_part
from app.demo.line import Line

# A sweep comes every few seconds.
_PATIENCE, _PAUSE = 20, 1.0


@dataclass
class Earnings:
    """Money in fen: by the lists of supervisors, by the entries of statements, and by the sales."""

    listed_fen: int = 0
    entries_fen: int = 0
    sales_fen: int = 0
    entries: int = 0
    flags: int = 0
    faults: list[str] = field(default_factory=list)


async def take(admin: Line) -> Earnings:
    """Add up what was earned in three ways, once what was just acknowledged is credited."""
    found = Earnings()
    for _ in range(_PATIENCE):
        sales = await admin.pages("/v1/sales", "sales")
        found.sales_fen = sum(_first_part_of(sale) for sale in sales)
        months = await admin.pages("/v1/commissions", "technicians")
        found.listed_fen = sum(month["total_fen"] for month in months)
        if found.listed_fen == found.sales_fen:
            break
        await asyncio.sleep(_PAUSE)
    for month in months:
        statement = await admin.get(f"/v1/commissions/{month['technician_id']}")
        found.entries += len(statement.body["entries"])
        found.entries_fen += sum(entry["fen"] for entry in statement.body["entries"])
    found.flags = len(await admin.pages("/v1/commission-flags", "flags"))
    if not found.listed_fen == found.entries_fen == found.sales_fen:
        found.faults.append(
            f"commissions: {found.listed_fen} fen listed, {found.entries_fen} in statements,"
            f" {found.sales_fen} by the sales"
        )
    return found


def _first_part_of(sale: dict[str, Any]) -> int:
    if sale["acknowledged_at"] is None or sale["reversed_at"] is not None:
        return 0
    fen = sum(item["commission_fen"] * item["quantity"] for item in sale["items"])
    return first_part(fen, int(FIRST_PERCENT.default))
