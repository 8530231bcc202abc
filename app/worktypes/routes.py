"""Doorways of templates of work types."""

from datetime import date
from typing import Annotated
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Depends, Query, status

from app.auth.callers import Caller, caller
from app.auth.queries import org_unit_within
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.errors import NotFound
from app.core.http import Code, Day, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.worktypes import queries, service
from app.worktypes.rules import BUILT_IN, DatedTemplate, WorkType, template_for
from app.worktypes.schemas import TemplateIn, TemplateOut, TemplatesPage

router = Router(prefix="/v1/work-templates", tags=["parameters"])

Reader = Annotated[Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="parameters:read"))]
Setter = Annotated[Caller, Depends(caller(Role.ADMIN, scope="parameters:write"))]


@router.get("", operation_id="work_templates_list")
async def listed(
    reader: Reader,
    read: Read,
    now: Now,
    org_unit_id: Annotated[
        UUID | None, Query(description="For which unit; left out, the caller's own.")
    ] = None,
    day: Annotated[
        Day | None, Query(description="A local day of the org unit; left out, today.")
    ] = None,
    all_versions: Annotated[
        bool, Query(description="Every version that concerns the unit, instead of those in force.")
    ] = False,
    code: Annotated[Code | None, Query(description="Of this code alone; of all versions.")] = None,
    size: PageSize = 50,
    page_token: PageToken = None,
) -> TemplatesPage:
    """List what each work type asks for on a day, or every version there is, newest day first.

    Where nothing was set, what holds without is listed, with no id.
    """
    unit = await org_unit_within(read, org_unit_id or reader.org_unit_id, reader)
    known = (await queries.templates(read)).values()
    if not all_versions:
        on = day or now.astimezone(ZoneInfo(unit.time_zone)).date()
        found = [(kind, template_for(known, kind, unit.path, on)) for kind in WorkType]
        return TemplatesPage(
            items=[
                TemplateOut.built_in(BUILT_IN[kind]) if one is None else TemplateOut.of(one)
                for kind, one in found
            ],
            next_page_token=None,
        )
    rows = sorted(
        (one for one in known if _concerns(one, unit.path) and code in (None, one.code)),
        key=_newest_first,
    )
    if page_token:
        since, after_code, version = key_of(page_token, date, str, int)
        rows = [
            row for row in rows if _newest_first(row) > (-since.toordinal(), after_code, -version)
        ]
    page, last = cut(rows[: size + 1], size)
    return TemplatesPage(
        items=[TemplateOut.of(row) for row in page],
        next_page_token=token_of(last.valid_from, last.code, last.version) if last else None,
    )


def _newest_first(one: DatedTemplate) -> tuple[int, str, int]:
    return -one.valid_from.toordinal(), one.code, -one.version


def _concerns(one: DatedTemplate, org_path: str) -> bool:
    return org_path.startswith(one.org_path) or one.org_path.startswith(org_path)


@router.get("/{template_id}", operation_id="work_templates_read")
async def one(template_id: UUID, reader: Reader, read: Read) -> TemplateOut:
    """Read one version of a template."""
    found = (await queries.templates(read)).get(template_id)
    if found is None or not _concerns(found, reader.org_path):
        raise NotFound()
    return TemplateOut.of(found)


@router.post("", status_code=status.HTTP_201_CREATED, operation_id="work_templates_add")
async def add(body: TemplateIn, setter: Setter, tx: Tx, now: Now) -> TemplateOut:
    """Set a template, or a new version of one, from a local day on.

    Orders reported from that day on are judged by it; those that began before keep their version.
    The same id with the same content is answered like the first time.
    """
    unit = await org_unit_within(tx, body.org_unit_id or setter.org_unit_id, setter)
    made = await service.set_version(
        tx,
        template_id=body.id,
        code=body.code,
        org_path=unit.path,
        valid_from=body.valid_from,
        content=body.content(),
        today=now.astimezone(ZoneInfo(unit.time_zone)).date(),
        set_by=setter.account_id,
    )
    return TemplateOut.of(made)
