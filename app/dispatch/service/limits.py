"""An operator's own bounds on the appointments of a day."""

from datetime import date

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.dispatch.models import SlotLimit
from app.workorders import queries as workorders
from app.workorders.rules import UnknownOrgUnit


async def set_limit(
    tx: AsyncSession,
    caller: Caller,
    *,
    org_unit_code: str,
    day: date,
    category: str,
    slot: str,
    most: int | None,
    note: str,
) -> None:
    """Bound the appointments of a unit's local day, or with None take the bound back.

    What has been promised already stays. Raises UnknownOrgUnit.
    """
    units = await workorders.org_units(tx, codes=[org_unit_code])
    unit = units.by_code.get(org_unit_code)
    if unit is None or not unit.path.startswith(caller.org_path):
        raise UnknownOrgUnit(code=org_unit_code, errors=[])
    held = await tx.scalar(
        select(SlotLimit)
        .where(
            SlotLimit.org_unit_id == unit.id,
            SlotLimit.day == day,
            SlotLimit.category == category,
            SlotLimit.slot == slot,
        )
        .with_for_update()
    )
    if most is None:
        if held is not None:
            await tx.delete(held)
    elif held is not None:
        held.most, held.note = most, note
    else:
        tx.add(
            SlotLimit(
                org_unit_id=unit.id, day=day, category=category, slot=slot, most=most, note=note
            )
        )
    await tx.flush()
