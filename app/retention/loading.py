"""Loading toolkits from YAML: other content becomes the next version."""

from datetime import date
from typing import Annotated

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.core.files import Faults, checked, entries_of
from app.core.http import Code
from app.core.i18n import Words
from app.core.loading import Report
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
