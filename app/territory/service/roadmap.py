"""Setting an org unit's road map."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.grids.models import GridExpansion
from app.territory.rules import roadmap
from app.territory.rules.roadmap import Target


async def set_road_map(tx: AsyncSession, org_unit_id: UUID, targets: Sequence[Target]) -> None:
    """Let an org unit's road map be these targets and no others; what is the same stays as it is.

    Raises Invalid outside the bounds of a figure, or for one given twice; then nothing changes.
    """
    roadmap.check(targets)
    # Of two who set it at once the second waits, and then sees what the first one wrote.
    await tx.execute(
        select(OrgUnit.id).where(OrgUnit.id == org_unit_id).with_for_update(key_share=True)
    )
    rows = await tx.scalars(select(GridExpansion).where(GridExpansion.org_unit_id == org_unit_id))
    left = {(row.figure, row.due_on): row for row in rows}
    for one in targets:
        row = left.pop((one.figure, one.due_on), None)
        if row is None:
            tx.add(GridExpansion(org_unit_id=org_unit_id, **one._asdict()))
        else:
            row.target = one.target
    for row in left.values():
        await tx.delete(row)
    await tx.flush()
