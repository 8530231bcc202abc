"""Building the operator's organisation."""

from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import queries
from app.auth.models import OrgUnit
from app.auth.rules import Caller, OrgCodeTaken, OrgLevel, check_level
from app.core.db import is_broken
from app.core.errors import SameIdOtherContent


async def create_org_unit(
    tx: AsyncSession,
    caller: Caller,
    *,
    org_unit_id: UUID,
    parent_id: UUID,
    code: str,
    name_zh: str,
    name_en: str,
    level: OrgLevel,
    time_zone: str,
) -> OrgUnit:
    """Add a unit under one of the caller's subtree; sent again with the same content, the same.

    Raises NotFound for a parent outside the subtree, Invalid, OrgCodeTaken, SameIdOtherContent.
    """
    parent = await queries.org_unit_within(tx, parent_id, caller)
    check_level(parent.level, level)
    wanted = OrgUnit(
        id=org_unit_id,
        parent_id=parent.id,
        code=code,
        name_zh=name_zh,
        name_en=name_en,
        level=level,
        path=f"{parent.path}{code}.",
        time_zone=time_zone,
    )
    known = await tx.get(OrgUnit, org_unit_id)
    if known is not None:
        return _same(known, wanted)
    try:
        async with tx.begin_nested():
            tx.add(wanted)
    except IntegrityError as error:
        if is_broken("pk_org_unit", error):
            # The same request came twice at once, and the other one was first.
            return _same(await tx.get_one(OrgUnit, org_unit_id), wanted)
        if is_broken("uq_org_unit_code", error):
            raise OrgCodeTaken(code=code) from error
        raise
    return wanted


def _same(known: OrgUnit, wanted: OrgUnit) -> OrgUnit:
    names = ("parent_id", "code", "name_zh", "name_en", "level", "time_zone")
    if any(getattr(known, name) != getattr(wanted, name) for name in names):
        raise SameIdOtherContent(id=known.id)
    return known
