"""What changes templates: a new version, from a local day on."""

from collections.abc import Mapping
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of
from app.core.errors import Invalid, SameIdOtherContent
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import READ, forget
from app.worktypes.rules import DatedTemplate, Template, TemplateCodeTaken, faults_of

# Names the templates among PostgreSQL's advisory locks.
_TEMPLATES_LOCK = 823_102


async def held_for_change(tx: AsyncSession) -> list[DatedTemplate]:
    """Read all versions, the oldest first, while no other transaction may add any."""
    await tx.execute(select(func.pg_advisory_xact_lock(_TEMPLATES_LOCK)))
    rows = await tx.scalars(select(WorkTemplate).order_by(WorkTemplate.code, WorkTemplate.version))
    return [dated(row) for row in rows]


def dated(row: WorkTemplate) -> DatedTemplate:
    """Read a stored version."""
    return DatedTemplate(
        row.id,
        row.code,
        row.version,
        row.org_path,
        row.valid_from,
        READ.validate_python(row.content),
    )


async def set_version(
    tx: AsyncSession,
    *,
    template_id: UUID,
    code: str,
    org_path: str,
    valid_from: date,
    content: Mapping[str, Any],
    today: date,
    set_by: UUID,
) -> DatedTemplate:
    """Add a version that an administrator has written; the same id again is answered the same.

    Days are local days of the org unit. Raises Invalid when the template makes no sense or would
    begin in the past, TemplateCodeTaken, and SameIdOtherContent.
    """
    template = READ.validate_python(content)
    held = await held_for_change(tx)
    for known in held:
        if known.id == template_id:
            if (known.code, known.org_path, known.valid_from, known.template) != (
                code,
                org_path,
                valid_from,
                template,
            ):
                raise SameIdOtherContent(id=template_id)
            return known
    errors = [{"field": fault.field, "message": fault.words.en} for fault in faults_of(template)]
    if valid_from < today:
        errors.append({"field": "valid_from", "message": f"must not be before today, {today}"})
    if errors:
        raise Invalid(errors=errors)
    return await add_version(
        tx,
        [one for one in held if one.code == code],
        DatedTemplate(template_id, code, 0, org_path, valid_from, template),
        content,
        set_by=set_by,
    )


async def add_version(
    tx: AsyncSession,
    versions: list[DatedTemplate],
    new: DatedTemplate,
    content: Mapping[str, Any],
    *,
    set_by: UUID | None,
) -> DatedTemplate:
    """Add the next version to those of a code, which the caller holds; return it with its number.

    Raises TemplateCodeTaken when the code stands for another work type or org unit.
    """
    for known in versions:
        if not _alike(known.template, known.org_path, new):
            raise TemplateCodeTaken(code=new.code)
    added = new._replace(version=len(versions) + 1)
    tx.add(
        WorkTemplate(
            id=added.id,
            code=added.code,
            version=added.version,
            org_path=added.org_path,
            work_type=added.template.work_type,
            valid_from=added.valid_from,
            content=dict(content),
            set_by=set_by,
        )
    )
    await tx.flush()
    forget(database_of(tx))
    return added


def _alike(template: Template, org_path: str, new: DatedTemplate) -> bool:
    return template.work_type is new.template.work_type and org_path == new.org_path
