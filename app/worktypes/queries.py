"""Reads of templates: those in force, and the one an order began with."""

from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database, database_of
from app.core.lately import lately, remembered
from app.worktypes.models import WorkTemplate
from app.worktypes.rules import BUILT_IN, DatedTemplate, Template, WorkType

_HELD_AS = "worktypes.templates"

READ = TypeAdapter(Template)
"""Reads and writes what a row's `content` holds."""


async def templates(session: AsyncSession) -> dict[UUID, DatedTemplate]:
    """Return all versions of all templates, read at most a few seconds ago by this process."""
    return await lately(session, _HELD_AS, _templates)


async def _templates(session: AsyncSession) -> dict[UUID, DatedTemplate]:
    before: dict[UUID, DatedTemplate] = remembered(session, _HELD_AS) or {}
    columns = (
        WorkTemplate.id,
        WorkTemplate.code,
        WorkTemplate.version,
        WorkTemplate.org_path,
        WorkTemplate.valid_from,
    )
    # A version is never rewritten, so only those that are new are read as a whole.
    new = select(*columns, WorkTemplate.content).where(WorkTemplate.id.not_in(before))
    read = {
        row.id: DatedTemplate(
            row.id,
            row.code,
            row.version,
            row.org_path,
            row.valid_from,
            READ.validate_python(row.content),
        )
        for row in await session.execute(new)
    }
    return {**before, **read}


async def template_of(
    session: AsyncSession, template_id: UUID | None, work_type: WorkType
) -> Template:
    """Return the template an order began with; without one it is the built-in of its type."""
    if template_id is None:
        return BUILT_IN[work_type]
    known = await templates(session)
    if template_id not in known:
        forget(database_of(session))
        known = await templates(session)
    return known[template_id].template


def forget(database: Database) -> None:
    """Let this process read again which templates there are, since it has made a new one."""
    database.cache.pop(_HELD_AS, None)
