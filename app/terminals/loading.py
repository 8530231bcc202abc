"""Loading terminals from CSV: each serial number with the place it is booked."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import cells, loading
from app.core.cells import NotReadable
from app.core.files import Column, CsvFile
from app.core.i18n import Words
from app.core.loading import Report, Target
from app.terminals.rules import HELD_BY, Pool, TerminalKind


def _judge(row: dict[str, Any]) -> None:
    for pool, holder in HELD_BY.items():
        if (row["pool"] is pool) != (row.get(holder) is not None):
            raise NotReadable(
                Words(
                    zh=f"pool 为 {pool} 时须填 {holder}，否则须留空",
                    en=f"{holder} belongs to pool {pool}, which needs it",
                ),
                field=holder,
            )


FILE = CsvFile(
    what="terminals",
    columns=(
        Column("serial_number", cells.code, required=True),
        Column("org_unit", cells.code, required=True),
        Column("kind", cells.one_of(TerminalKind), required=True),
        Column("model", cells.text(100), required=True),
        Column("pool", cells.one_of(Pool), required=True),
        Column("technician", cells.code),
        Column("customer", cells.code),
    ),
    judge=_judge,
)
_TERMINAL = Target(
    table="terminal",
    key=("serial_number",),
    columns={name: name for name in ("serial_number", "kind", "model", "pool")},
    references={
        "org_unit_id": ("org_unit", "org_unit", "code"),
        "technician_id": ("technician", "technician", "code"),
        "customer_id": ("customer", "customer", "code"),
    },
    versioned=True,
)


async def load_terminals(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load terminals from the lines of a CSV file, by serial number.

    `technician` is the code of who has it in the van, `customer` of whom it stands at; both must
    be loaded before. Raises FileRefused when any line is wrong, unless `skip_refused`.
    """
    staged = await loading.stage(tx, FILE, lines)
    await staged.refuse_repeated("serial_number")
    for name, table in (
        ("org_unit", "org_unit"),
        ("technician", "technician"),
        ("customer", "customer"),
    ):
        await staged.refuse_unknown(name, table)
    staged.settle(skip_refused=skip_refused)
    # Booking out of a van and into a home is one change, so both holders are always written.
    staged.present |= {"technician", "customer"}
    await staged.merge(_TERMINAL)
    report = await staged.report()
    if report.changed:
        audit.note(tx, table="terminal", operation="load", count=report.inserted + report.updated)
    return report
