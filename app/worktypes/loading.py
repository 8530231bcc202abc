"""Loading templates of work types from YAML: other content becomes the next version."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.core.loading import DatedEntry, Report, Versions, load_versions
from app.worktypes import service
from app.worktypes.rules import DatedTemplate, faults_of
from app.worktypes.rules.checking import Fault
from app.worktypes.schemas import ContentIn


class EntryIn(DatedEntry, ContentIn):
    """One template of a file, for an org unit's subtree (empty: everybody) from a local day on."""


async def load_work_types(tx: AsyncSession, document: str, *, skip_refused: bool = False) -> Report:
    """Load templates from YAML: `work_types`, each an `EntryIn`, by code and day.

    See `load_versions`; orders that began before keep their version. Raises FileRefused when an
    entry is wrong, unless `skip_refused`.
    """
    return await load_versions(tx, document, _TEMPLATES, skip_refused=skip_refused)


def _new(entry: EntryIn) -> DatedTemplate:
    return DatedTemplate(
        new_id(), entry.code, 0, entry.org_path, entry.valid_from, entry.template()
    )


async def _faults_in(tx: AsyncSession, new: DatedTemplate) -> Sequence[Fault]:
    return faults_of(new.template)


async def _add(
    tx: AsyncSession, versions: list[DatedTemplate], new: DatedTemplate, entry: EntryIn
) -> DatedTemplate:
    return await service.add_version(tx, versions, new, entry.content(), set_by=None)


_TEMPLATES = Versions(
    what="work-types",
    key="work_types",
    entry=EntryIn,
    new=_new,
    said=lambda one: one.template,
    faults_in=_faults_in,
    held=service.held_for_change,
    add=_add,
)
