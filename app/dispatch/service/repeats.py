"""What placing has to know of repeat faults: who worked there before, and their levels."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.dispatch.rules import Diary
from app.dispatch.rules.repeats import REPEAT_MINUTES, REPEAT_PREFERS, Prefers, Repeat
from app.technicians import queries as technicians


async def repeats_of(
    tx: AsyncSession, before: Mapping[UUID, tuple[UUID, str]], *, now: datetime
) -> dict[UUID, Repeat]:
    """Say whom each repeat fault prefers, given who worked there before and the path of its unit;
    by the fault's id. Costs a statement only where a better one is wanted.
    """
    if not before:
        return {}
    numbers = await parameters_in_force(tx)
    prefers = {
        order_id: Prefers(numbers.whole(REPEAT_PREFERS, now, path))
        for order_id, (_, path) in before.items()
    }
    wanted = {before[one][0] for one, whom in prefers.items() if whom is Prefers.BETTER}
    levels = await technicians.levels(tx, wanted) if wanted else {}
    repeats = {}
    for order_id, (technician_id, path) in before.items():
        if prefers[order_id] is not Prefers.NOBODY:
            seconds = round(numbers.number(REPEAT_MINUTES, now, path) * 60)
            theirs = levels.get(technician_id, {}) if prefers[order_id] is Prefers.BETTER else None
            repeats[order_id] = Repeat(technician_id, seconds, theirs)
    return repeats


async def read_levels(
    tx: AsyncSession, diaries: Mapping[UUID, Diary], ids: Collection[UUID]
) -> None:
    """Read into diaries how well these people can do what."""
    for technician_id, levels in (await technicians.levels(tx, ids)).items():
        diaries[technician_id].levels = levels
