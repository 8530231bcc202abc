"""Evidence as it counts for an order, and as it is shown."""

from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Row, and_, literal_column, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.db import fetched
from app.core.errors import NotFound
from app.evidence.models import Blob, Evidence
from app.evidence.rules import UploadState
from app.evidence.rules.uploads import AWAITED, COMPLETED
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units

# So many pictures an order's list names at most; more than an order may have.
LISTED = 500

# --- what has been done ---------------------------------------------------------------------------


class Counted(NamedTuple):
    """How much evidence an order has by its requirement's code, and whether the customer signed."""

    stored: dict[str, int]
    announced: dict[str, int]
    signed: bool


# The same picture sent twice shows one thing.
_COUNTED = """
    SELECT requirement, bool_or(state = 'stored'), bool_or(kind = 'signature') FROM evidence
    WHERE work_order_id = %(work_order_id)s AND state IN ('stored', 'announced')
    GROUP BY requirement, sha256
"""


async def counted(tx: AsyncSession, work_order_id: UUID) -> Counted:
    """Count an order's evidence: what is stored, and what is announced and still to come."""
    await tx.flush()
    rows = await fetched(tx, _COUNTED, {"work_order_id": work_order_id})
    return Counted(
        stored=dict(Counter(requirement for requirement, stored, _ in rows if stored)),
        announced=dict(Counter(requirement for requirement, stored, _ in rows if not stored)),
        signed=any(signature for *_, signature in rows),
    )


# --- what is shown --------------------------------------------------------------------------------

_SHOWN = (
    *(
        each
        for each in Evidence.__table__.columns
        if each.name not in ("point", "upload_metadata", "created_at", "blob_sha256")
    ),
    Blob.media_type,
    Blob.width,
    Blob.height,
    Blob.folder,
    Blob.looked_at,
    Blob.taken_at.label("picture_taken_at"),
)


async def of_order(session: AsyncSession, work_order_id: UUID) -> Sequence[Row[Any]]:
    """Read an order's evidence with what is known of its pictures, the newest first."""
    found = await session.execute(
        select(*_SHOWN)
        .outerjoin(Blob, Blob.sha256 == Evidence.blob_sha256)
        .where(Evidence.work_order_id == work_order_id, Evidence.state != UploadState.WITHDRAWN)
        .order_by(Evidence.announced_at.desc(), Evidence.id.desc())
        .limit(LISTED)
    )
    return found.all()


async def one(session: AsyncSession, evidence_id: UUID) -> Row[Any]:
    """Read one piece of evidence. Raises NotFound; who may see it is for the service to say."""
    found = await session.execute(
        select(*_SHOWN)
        .outerjoin(Blob, Blob.sha256 == Evidence.blob_sha256)
        .where(Evidence.id == evidence_id, Evidence.state != UploadState.WITHDRAWN)
    )
    row = found.one_or_none()
    if row is None:
        raise NotFound()
    return row


_SHOWN_OUTSTANDING: tuple[ColumnElement[Any], ...] = (
    *(
        Evidence.__table__.columns[name]
        for name in (
            "id",
            "work_order_id",
            "visit_id",
            "technician_id",
            "requirement",
            "kind",
            "state",
            "bytes",
            "received",
            "announced_at",
            "expires_at",
        )
    ),
    WorkOrder.__table__.columns.external_id,
    WorkOrder.__table__.columns.completed_at,
)


async def outstanding(
    session: AsyncSession,
    caller: Caller,
    *,
    since: datetime,
    size: int,
    after: tuple[datetime, UUID] | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` pieces of evidence of completed orders whose bytes never came, of the
    caller's subtree and announced after a moment, those that are awaited longest first."""
    units = (await org_units(session)).within(caller.org_path)
    conditions = [
        Evidence.org_unit_id.in_(units),
        WorkOrder.org_unit_id.in_(units),
        Evidence.state.in_(_literal(AWAITED)),
        WorkOrder.state.in_(COMPLETED),
        Evidence.announced_at >= since,
    ]
    if after is not None:
        conditions.append(tuple_(Evidence.announced_at, Evidence.id) > tuple_(*after))
    found = await session.execute(
        select(*_SHOWN_OUTSTANDING)
        .join(WorkOrder, WorkOrder.id == Evidence.work_order_id)
        .where(and_(*conditions))
        .order_by(Evidence.announced_at, Evidence.id)
        .limit(size + 1)
    )
    return found.all()


def _literal(states: Collection[UploadState]) -> list[Any]:
    """Write states as words, without which PostgreSQL would not use the partial index."""
    return [literal_column(f"'{state.value}'") for state in sorted(states)]
