"""What changes toolkits: a new version, from a local day on."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of
from app.core.errors import Invalid, SameIdOtherContent
from app.core.i18n import Words
from app.retention.models import RetentionToolkit
from app.retention.queries.toolkits import READ, dated, forget, unknown_offerings
from app.retention.rules.toolkits import DatedToolkit, Fault, Toolkit, ToolkitCodeTaken, faults_of

# Names the toolkits among PostgreSQL's advisory locks.
_TOOLKITS_LOCK = 823_103


async def held_for_change(tx: AsyncSession) -> list[DatedToolkit]:
    """Read all versions, the oldest first, while no other transaction may add any."""
    await tx.execute(select(func.pg_advisory_xact_lock(_TOOLKITS_LOCK)))
    rows = await tx.scalars(
        select(RetentionToolkit).order_by(RetentionToolkit.code, RetentionToolkit.version)
    )
    return [dated(row) for row in rows]


async def faults_in(tx: AsyncSession, toolkit: Toolkit) -> list[Fault]:
    """List all that is wrong with a toolkit, also beside the catalogue."""
    faults = faults_of(toolkit)
    for code in await unknown_offerings(tx, toolkit.offers):
        words = Words(f"产品目录中没有 {code}", f"the catalogue has no offering {code}")
        faults.append(Fault("offers", words))
    return faults


async def set_version(
    tx: AsyncSession,
    *,
    toolkit_id: UUID,
    code: str,
    org_path: str,
    valid_from: date,
    content: Mapping[str, Any],
    today: date,
    set_by: UUID,
) -> DatedToolkit:
    """Add a version that an administrator has written; the same id again is answered the same.

    Days are local days of the org unit. Raises Invalid when the toolkit makes no sense or would
    begin in the past, ToolkitCodeTaken, and SameIdOtherContent.
    """
    toolkit = READ.validate_python(content)
    held = await held_for_change(tx)
    new = DatedToolkit(toolkit_id, code, 0, org_path, valid_from, toolkit)
    for known in held:
        if known.id == toolkit_id:
            if known._replace(version=0) != new:
                raise SameIdOtherContent(id=toolkit_id)
            return known
    errors = [
        {"field": fault.field, "message": fault.words.en} for fault in await faults_in(tx, toolkit)
    ]
    if valid_from < today:
        errors.append({"field": "valid_from", "message": f"must not be before today, {today}"})
    if errors:
        raise Invalid(errors=errors)
    versions = [one for one in held if one.code == code]
    return await add_version(tx, versions, new, content, set_by=set_by)


async def add_version(
    tx: AsyncSession,
    versions: list[DatedToolkit],
    new: DatedToolkit,
    content: Mapping[str, Any],
    *,
    set_by: UUID | None,
) -> DatedToolkit:
    """Add the next version to those of a code, which the caller holds; return it with its number.

    Raises ToolkitCodeTaken when the code stands for another kind or org unit.
    """
    for known in versions:
        if (known.toolkit.kind, known.org_path) != (new.toolkit.kind, new.org_path):
            raise ToolkitCodeTaken(code=new.code)
    added = new._replace(version=len(versions) + 1)
    tx.add(
        RetentionToolkit(
            id=added.id,
            code=added.code,
            version=added.version,
            org_path=added.org_path,
            kind=added.toolkit.kind,
            valid_from=added.valid_from,
            content=dict(content),
            set_by=set_by,
        )
    )
    await tx.flush()
    forget(database_of(tx))
    return added
