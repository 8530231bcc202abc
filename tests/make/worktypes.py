"""Templates of work types for tests."""

from datetime import date
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of, new_id
from app.worktypes.models import WorkTemplate
from app.worktypes.queries import forget
from app.worktypes.rules import WorkType


def content(work_type: WorkType = WorkType.REPAIR, **fields: Any) -> dict[str, Any]:
    """Write a template that asks for one check and one optical power, as it is stored."""
    return {
        "work_type": work_type.value,
        "minutes": 55,
        "checklist": [{"code": "tidy", "words": {"zh": "整理", "en": "tidied up"}}],
        "measurements": [
            {"measure": "optical_rx_power_dbm", "least": -27, "most": -8, "required": True}
        ],
        "closing_codes": [
            {
                "code": "fixed",
                "words": {"zh": "已修复", "en": "fixed"},
                "works_again": work_type is WorkType.REPAIR,
            },
            {
                "code": "no_fault_found",
                "words": {"zh": "未发现故障", "en": "no fault found"},
                "waives": ["tidy"],
            },
        ],
        **fields,
    }


async def make_template(tx: AsyncSession, **fields: Any) -> WorkTemplate:
    """Add the first version of a template for everybody, in force for years."""
    given: dict[str, Any] = {
        "id": new_id(),
        "code": f"W{new_id().hex[-8:]}",
        "version": 1,
        "org_path": "",
        "valid_from": date(2020, 1, 1),
        "content": content(),
        **fields,
    }
    template = WorkTemplate(work_type=WorkType(given["content"]["work_type"]), **given)
    tx.add(template)
    await tx.flush()
    forget(database_of(tx))
    return template
