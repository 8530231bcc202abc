"""Work orders and promises for tests: the smallest honest ones."""

from datetime import date, datetime, time, timedelta
from typing import Any

from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.promises.models import PromiseRule
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import make_org_unit


async def make_work_order(
    tx: AsyncSession,
    *,
    now: datetime,
    org_unit: OrgUnit | None = None,
    point: tuple[float, float] | None = None,
    **fields: Any,
) -> WorkOrder:
    """Add a repair reported an hour ago that has just been taken in; `point` is in WGS-84."""
    unit = org_unit or await make_org_unit(tx)
    given: dict[str, Any] = {
        "id": new_id(),
        "org_unit_id": unit.id,
        "source": "test",
        "external_id": f"F{new_id().hex[-8:]}",
        "content_hash": "",
        "work_type": WorkType.REPAIR,
        "state": State.RECEIVED,
        "contact_name": "王小明",
        "contact_phone": "15412341234",
        "address": "碧波园3栋2单元1203室",
        "summary": "宽带断网",
        "point": WKTElement(f"POINT({point[0]} {point[1]})", srid=4326) if point else None,
        "estimated_minutes": 60,
        "reported_at": now - timedelta(hours=1),
        "received_at": now,
    }
    order = WorkOrder(**{**given, **fields})
    tx.add(order)
    await tx.flush()
    return order


async def make_promise(tx: AsyncSession, **fields: Any) -> PromiseRule:
    """Add a promise for all: a repair reported before 16:00 is done by 18:00, else in 24 h."""
    given: dict[str, Any] = {
        "code": f"P{new_id().hex[-8:]}",
        "org_path": "",
        "work_type": WorkType.REPAIR,
        "valid_from": date(2020, 1, 1),
        "cut_off": time(16, 0),
        "due_time": time(18, 0),
        "hours_after": 24.0,
        "compensation_fen": 1000,
        "compensation_per": "day",
        "compensation_cap_fen": 10_000,
    }
    promise = PromiseRule(**{**given, **fields})
    tx.add(promise)
    await tx.flush()
    return promise
