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
from app.terminals.rules import Handling, Pool, TerminalKind, Why, serial_number

# Which pools need a holder, and which others may have one; in the rest nobody has it.
_HOLDERS = {
    "technician": (frozenset({Pool.VAN}), frozenset({Pool.RECOVERED})),
    "customer": (frozenset({Pool.CUSTOMER}), frozenset[Pool]()),
}


def _judge(row: dict[str, Any]) -> None:
    for holder, (needed, possible) in _HOLDERS.items():
        given = row.get(holder) is not None
        if given != (row["pool"] in needed) and not (given and row["pool"] in possible):
            pool = next(iter(needed))
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
        Column("serial_number", serial_number, required=True),
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
# Where those were that the file says to be elsewhere; they are locked, since scans may move them.
_WHERE_THEY_WERE = """
    CREATE TEMPORARY TABLE terminals_moved ON COMMIT DROP AS
    SELECT s.line, t.pool, t.org_unit_id, t.technician_id, t.customer_id, t.service_number
    FROM {staged} AS s
    JOIN terminal AS t ON t.serial_number = s.serial_number
    LEFT JOIN org_unit AS u ON u.code = s.org_unit
    LEFT JOIN technician AS h ON h.code = s.technician
    LEFT JOIN customer AS c ON c.code = s.customer
    WHERE ROW(t.pool, t.org_unit_id, t.technician_id, t.customer_id)
        IS DISTINCT FROM ROW(s.pool, u.id, h.id, c.id)
    FOR UPDATE OF t
"""
# A line's own id, which is new to this table, becomes its move's.
_MOVED_THERE = """
    WITH placed AS (
        UPDATE terminal AS t SET last_move = t.last_move + 1, placed_at = now(),
            service_number = CASE WHEN w.customer_id = t.customer_id THEN t.service_number END
        FROM {staged} AS s LEFT JOIN terminals_moved AS w ON w.line = s.line
        WHERE t.serial_number = s.serial_number
            AND (s.became = 'i' OR s.became = 'u' AND w.line IS NOT NULL)
        RETURNING s.id AS move_id, t.id, t.last_move, t.pool, t.org_unit_id, t.technician_id,
            t.customer_id, t.service_number, w.pool AS from_pool,
            w.org_unit_id AS from_org_unit_id, w.technician_id AS from_technician_id,
            w.customer_id AS from_customer_id, w.service_number AS from_service_number
    )
    INSERT INTO terminal_move (id, terminal_id, number, handling, why, at, from_pool,
        from_org_unit_id, from_technician_id, from_customer_id, from_service_number, to_pool,
        to_org_unit_id, to_technician_id, to_customer_id, to_service_number)
    SELECT move_id, id, last_move, %(handling)s, %(why)s, now(), from_pool, from_org_unit_id,
        from_technician_id, from_customer_id, from_service_number, pool, org_unit_id,
        technician_id, customer_id, service_number
    FROM placed
"""


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
    await staged.run("DROP TABLE IF EXISTS pg_temp.terminals_moved")
    await staged.run(_WHERE_THEY_WERE)
    # Booking out of a van and into a home is one change, so both holders are always written.
    staged.present |= {"technician", "customer"}
    async with loading.phones_told_later(tx):
        await staged.merge(_TERMINAL)
        await staged.run(_MOVED_THERE, handling=Handling.LOAD.value, why=Why.LOADED.value)
    report = await staged.report()
    if report.changed:
        audit.note(tx, table="terminal", operation="load", count=report.inserted + report.updated)
    return report
