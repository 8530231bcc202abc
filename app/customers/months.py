"""Loading what customers paid, used and owed month by month, from the CRM's monthly file.

A month is known by its customer and itself and has no id of its own, so that twelve million of them
stay narrow. A line older than what is held changes nothing.
"""

from collections.abc import Iterable
from datetime import date

from psycopg.sql import SQL, Identifier
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import cells, loading
from app.core.cells import NotReadable
from app.core.files import Column, CsvFile
from app.core.i18n import Words
from app.core.loading import Report


def month(cell: str) -> date:
    """Read a calendar month as 2026-02, or as its first day."""
    first = cells.day(f"{cell}-01" if cell.count("-") + cell.count("/") == 1 else cell)
    if first.day != 1:
        raise NotReadable(Words(zh="月份格式为 2026-02", en="a month is 2026-02"))
    return first


_MONEY = cells.whole(0, 100_000_000)

MONTHS = CsvFile(
    what="months",
    columns=(
        Column("customer", cells.code, required=True),
        Column("month", month, "date", required=True),
        Column("as_of", cells.moment, "timestamptz", required=True),
        Column("income_fen", _MONEY, "bigint"),
        Column("new_service_income_fen", _MONEY, "bigint"),
        Column("usage_gb", cells.whole(0, 1_000_000), "bigint"),
        Column("arrears_fen", _MONEY, "bigint"),
    ),
)
_FIGURES = ("income_fen", "new_service_income_fen", "usage_gb", "arrears_fen")

# In the order of the key: a customer's months are read by ranges of customers, and rows that stand
# together are read with few pages.
_MERGE = """
    WITH given AS (
        SELECT s.line, c.id AS customer_id, s.month, s.as_of, {figures}
        FROM {staged} AS s JOIN customer AS c ON c.code = s.customer
    ), merged AS (
        INSERT INTO customer_month AS held (customer_id, month, as_of, {figures})
        SELECT g.customer_id, g.month, g.as_of, {given} FROM given AS g
        LEFT JOIN customer_month AS h ON h.customer_id = g.customer_id AND h.month = g.month
        WHERE h.customer_id IS NULL OR (
            h.as_of <= g.as_of AND ROW({known}) IS DISTINCT FROM ROW({given})
        )
        ORDER BY g.customer_id, g.month
        ON CONFLICT (customer_id, month) DO UPDATE SET as_of = excluded.as_of, {changes}
        RETURNING customer_id, month, xmax = 0 AS fresh
    )
    UPDATE {staged} AS s SET became = CASE WHEN merged.fresh THEN 'i' ELSE 'u' END
    FROM merged JOIN given AS g ON g.customer_id = merged.customer_id AND g.month = merged.month
    WHERE s.line = g.line
"""


async def load_months(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load months of customers from the lines of a CSV file; after the customers.

    Columns that the file leaves out keep what they hold. Raises FileRefused when any line is wrong,
    unless `skip_refused`.
    """
    staged = await loading.stage(tx, MONTHS, lines)
    await staged.refuse_repeated("customer", "month")
    await staged.refuse_unknown("customer", "customer")
    staged.settle(skip_refused=skip_refused)
    figures = [Identifier(name) for name in _FIGURES if name in staged.present]
    if figures:
        await staged.run(
            SQL(_MERGE).format(
                staged=staged.table,
                figures=SQL(", ").join(figures),
                given=SQL(", ").join(SQL("g.{}").format(name) for name in figures),
                known=SQL(", ").join(SQL("h.{}").format(name) for name in figures),
                changes=SQL(", ").join(SQL("{0} = excluded.{0}").format(name) for name in figures),
            )
        )
    report = await staged.report()
    if report.changed:
        count = report.inserted + report.updated
        audit.note(tx, table="customer_month", operation="load", count=count)
    return report
