"""Who sees which picture; each look at one leaves an entry in the audit trail."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.auth.rules import Role
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.evidence import queries, rules
from app.evidence.rules import UploadState
from app.evidence.rules.parameters import GRACE
from app.evidence.service.looking import KEPT, SMALL
from app.evidence.storage import Storage
from app.workorders.queries import one as order_of


class Shown(NamedTuple):
    """A picture as it is sent: its media type, what tells it from any other, and its bytes, which
    are None when the caller has them already."""

    media_type: str
    mark: str
    parts: AsyncIterator[bytes] | None


async def may_see(
    session: AsyncSession, work_order_id: UUID, caller: Caller, now: datetime
) -> Row[Any]:
    """Return an order whose evidence the caller may see.

    Supervisors see that of their subtree; a technician that of an order they hold or assist with,
    in whichever branch, while they work on it and for a grace afterwards. Raises NotFound for all
    others.
    """
    if caller.role is not Role.TECHNICIAN:
        return await order_of(session, work_order_id, caller)
    if not await queries.works_on(session, work_order_id, caller.technician_id):
        raise NotFound()
    order = await order_of(session, work_order_id, None)
    grace_hours = (await parameters_in_force(session)).number(GRACE, now, caller.org_path)
    if not rules.is_open(order.state, order.completed_at, now, grace_hours):
        raise NotFound()
    return order


async def show(
    tx: AsyncSession,
    storage: Storage,
    evidence_id: UUID,
    caller: Caller,
    *,
    small: bool,
    known: str | None,
    now: datetime,
) -> Shown:
    """Open a picture, or its thumbnail, for somebody who may see it, unless they have it already
    under the mark `known`.

    Raises NotFound, NotReady before it was looked at, EvidenceForgotten, and Unavailable.
    """
    row = await queries.one(tx, evidence_id)
    order = await may_see(tx, row.work_order_id, caller, now)
    if row.forgotten_at is not None:
        raise rules.EvidenceForgotten(forgotten_at=row.forgotten_at)
    if row.state is not UploadState.STORED or row.looked_at is None:
        raise rules.NotReady(state=row.state)
    name, media_type = (SMALL, "image/webp") if small else (KEPT, row.media_type)
    mark = f'"{row.sha256[:32]}-{name}"'
    if known is not None and mark in known.replace("W/", "").split(", "):
        return Shown(media_type, mark, None)
    parts = await storage.stream(row.folder, name)
    audit.unmasked(
        tx,
        caller,
        subject_kind="customer" if order.customer_id else "work_order",
        subject_id=order.customer_id or order.id,
        purpose=f"work_order:{order.id}",
        fields=[f"{row.kind.value}:{evidence_id}"],
    )
    return Shown(media_type, mark, parts)
