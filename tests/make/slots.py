"""Slots for tests: five two-hour slots a day for every kind of work, and what asks for them."""

from datetime import date, time
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of, new_id
from app.dispatch.models import SlotTemplate
from app.worktypes.rules import WorkType

HOURS = (8, 10, 14, 16, 18)


async def make_slots(tx: AsyncSession, *, prefix: str = "", **fields: Any) -> None:
    """Add the slots s08, s10, s14, s16 and s18 for all, or for the org unit of `org_path`."""
    given = {
        "category": "any",
        "work_types": list(WorkType),
        "valid_from": date(2020, 1, 1),
        **fields,
    }
    tx.add_all(
        SlotTemplate(
            code=f"{prefix}s{hour:02d}", starts_at=time(hour), ends_at=time(hour + 2), **given
        )
        for hour in HOURS
    )
    await tx.flush()
    # Templates are remembered for a few seconds.
    database_of(tx).cache.pop("dispatch.slot_templates", None)


def search(point: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A search for an install of an hour on the Tuesday; a field given as None is left out."""
    given: dict[str, Any] = {
        "point": point,
        "work_type": "install",
        "estimated_minutes": 60,
        "first_day": "2026-03-03",
        "last_day": "2026-03-03",
        **fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def holding(
    point: dict[str, Any] | None = None, *, hold_id: UUID | None = None, **fields: Any
) -> dict[str, Any]:
    """A hold of the Tuesday's slot from ten to twelve for an install of an hour."""
    return search(
        point,
        **{
            "id": str(hold_id or new_id()),
            "day": "2026-03-03",
            "slot": "s10",
            "first_day": None,
            "last_day": None,
            **fields,
        },
    )
