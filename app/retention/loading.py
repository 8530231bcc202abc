"""Loading toolkits from YAML, and who has left from the CRM's CSV file."""

from collections.abc import Iterable, Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import cells, loading
from app.core.db import new_id
from app.core.files import Column, CsvFile
from app.core.loading import DatedEntry, Report, Versions, load_versions
from app.retention.rules import LeaveReason, LeaverSource
from app.retention.rules.leavers import outweighs
from app.retention.rules.toolkits import DatedToolkit, Fault
from app.retention.schemas.toolkits import ContentIn
from app.retention.service import toolkits as service


class EntryIn(DatedEntry, ContentIn):
    """One toolkit of a file, for an org unit's subtree (empty: everybody) from a local day on."""


async def load_toolkits(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load toolkits from YAML: `toolkits`, each an `EntryIn`, by code and day.

    See `load_versions`. Raises FileRefused when an entry is wrong, unless `skip_refused`.
    """
    return await load_versions(tx, document, _TOOLKITS, skip_refused=skip_refused)


def _new(entry: EntryIn) -> DatedToolkit:
    return DatedToolkit(new_id(), entry.code, 0, entry.org_path, entry.valid_from, entry.toolkit())


async def _faults_in(tx: AsyncSession, new: DatedToolkit) -> Sequence[Fault]:
    return await service.faults_in(tx, new.toolkit)


async def _add(
    tx: AsyncSession, versions: list[DatedToolkit], new: DatedToolkit, entry: EntryIn
) -> DatedToolkit:
    return await service.add_version(tx, versions, new, entry.content(), set_by=None)


_TOOLKITS = Versions(
    what="toolkits",
    key="toolkits",
    entry=EntryIn,
    new=_new,
    said=lambda one: one.toolkit,
    faults_in=_faults_in,
    held=service.held_for_change,
    add=_add,
)

LEAVERS = CsvFile(
    what="leavers",
    columns=(
        Column("customer", cells.code, required=True),
        Column("left_on", cells.day, "date", required=True),
        Column("reason", cells.one_of(LeaveReason)),
        Column("competitor", cells.text(100)),
        Column("reachable", cells.flag, "boolean"),
    ),
)
# Whoever has come back since is no leaver again by an old file, and a person's word stays.
_MERGE = """
    WITH given AS (
        SELECT s.line, s.id, c.id AS customer_id, c.org_unit_id, s.left_on,
            coalesce(s.reason, 'unknown') AS reason, s.competitor, s.reachable,
            l.tier, l.value_12m_fen
        FROM {staged} AS s JOIN customer AS c ON c.code = s.customer
        LEFT JOIN customer_lifecycle AS l ON l.customer_id = c.id
        WHERE NOT EXISTS (
            SELECT FROM former_customer AS f
            WHERE f.customer_id = c.id AND f.returned_on >= s.left_on
        )
    ), merged AS (
        INSERT INTO former_customer AS held (id, org_unit_id, customer_id, left_on, reason,
            competitor, reachable, source, tier, value_12m_fen, recorded_at)
        SELECT id, org_unit_id, customer_id, left_on, reason, competitor, reachable, %(crm)s, tier,
            value_12m_fen, now()
        FROM given ORDER BY customer_id
        ON CONFLICT (customer_id) WHERE returned_on IS NULL DO UPDATE SET
            left_on = excluded.left_on, reason = excluded.reason, source = excluded.source,
            competitor = coalesce(excluded.competitor, held.competitor),
            reachable = coalesce(excluded.reachable, held.reachable)
        WHERE held.source = ANY(%(weaker)s) AND excluded.reason <> 'unknown'
            AND (held.left_on, held.reason, held.competitor, held.reachable) IS DISTINCT FROM (
                excluded.left_on, excluded.reason, coalesce(excluded.competitor, held.competitor),
                coalesce(excluded.reachable, held.reachable))
        RETURNING held.customer_id, xmax = 0 AS fresh
    )
    UPDATE {staged} AS s SET became = CASE WHEN merged.fresh THEN 'i' ELSE 'u' END
    FROM merged JOIN given ON given.customer_id = merged.customer_id WHERE s.line = given.line
"""


async def load_leavers(
    tx: AsyncSession, lines: Iterable[str], *, skip_refused: bool = False
) -> Report:
    """Load who has left, and why, from the lines of a CSV file; after the customers.

    A reason takes the place of what the lifecycle or an earlier file says, and never of what a
    technician or a supervisor was told. Raises FileRefused when any line is wrong, unless
    `skip_refused`.
    """
    staged = await loading.stage(tx, LEAVERS, lines)
    await staged.refuse_repeated("customer")
    await staged.refuse_unknown("customer", "customer")
    staged.settle(skip_refused=skip_refused)
    crm = LeaverSource.CRM
    weaker = [one.value for one in LeaverSource if outweighs(crm, one, LeaveReason.OTHER)]
    await staged.run(_MERGE, crm=crm.value, weaker=weaker)
    report = await staged.report()
    if report.changed:
        number = report.inserted + report.updated
        audit.note(tx, table="former_customer", operation="load", count=number)
    return report
