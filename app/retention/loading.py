"""Loading toolkits from YAML, and who has left from the CRM's CSV file."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import cells, loading
from app.core.db import new_id
from app.core.files import Column, CsvFile, Faults, checked, entries_of
from app.core.http import Code
from app.core.i18n import Words
from app.core.loading import Report
from app.retention.rules import LeaveReason, LeaverSource
from app.retention.rules.leavers import outweighs
from app.retention.rules.toolkits import DatedToolkit, ToolkitCodeTaken
from app.retention.schemas.toolkits import ContentIn
from app.retention.service import toolkits as service

WHAT = "toolkits"


class EntryIn(ContentIn):
    """One toolkit of a file, for an org unit's subtree (empty: everybody) from a local day on."""

    code: Code
    org_path: Annotated[str, Field(max_length=200, pattern=r"^([\w\-]+\.)*$")] = ""
    valid_from: date


async def load_toolkits(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load toolkits from YAML: `toolkits`, each an `EntryIn`, by code and day.

    An entry that says what is in force of its code on its day changes nothing; another becomes the
    next version from that day on. A top-level `valid_from` or `org_path` stands for entries without
    one. Raises FileRefused when an entry is wrong, unless `skip_refused`.
    """
    faults = Faults()
    common, entries = entries_of(WHAT, document, "toolkits")
    for name in common.keys() - {"valid_from", "org_path"}:
        faults.note(1, name, None, Words(zh="未知的字段", en="there is no such field"))
    given = [(line, {**common, **entry}) for line, entry in entries]
    good = checked(EntryIn, given, faults)
    held = await service.held_for_change(tx)
    inserted = 0
    async with tx.begin_nested():
        for line, entry in sorted(good, key=lambda pair: (pair[1].valid_from, pair[0])):
            toolkit = entry.toolkit()
            found = await service.faults_in(tx, toolkit)
            for fault in found:
                faults.note(line, fault.field, None, fault.words)
            versions = [one for one in held if one.code == entry.code]
            now = _in_force(versions, entry.valid_from)
            same = now is not None and (now.org_path, now.toolkit) == (entry.org_path, toolkit)
            if found or same:
                continue
            new = DatedToolkit(new_id(), entry.code, 0, entry.org_path, entry.valid_from, toolkit)
            try:
                held.append(
                    await service.add_version(tx, versions, new, entry.content(), set_by=None)
                )
            except ToolkitCodeTaken as taken:
                words = Words(taken.detail("zh"), taken.detail("en"))
                faults.note(line, "code", entry.code, words)
            else:
                inserted += 1
        if not skip_refused:
            faults.refuse(WHAT)
    return Report(
        what=WHAT,
        read=len(entries),
        inserted=inserted,
        updated=0,
        unchanged=len(entries) - inserted - len(faults.lines),
        refused=len(faults.lines),
        bad=sorted(faults.bad),
    )


def _in_force(versions: list[DatedToolkit], day: date) -> DatedToolkit | None:
    begun = [one for one in versions if one.valid_from <= day]
    return max(begun, key=lambda one: (one.valid_from, one.version), default=None)


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
