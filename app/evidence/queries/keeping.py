"""Pictures as they are kept: each once, for all evidence that it is, until it is forgotten."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.evidence.models import Blob, Evidence
from app.evidence.rules import UploadState


async def blob_made(
    tx: AsyncSession, sha256: str, folder: UUID, found: tuple[str, int, int]
) -> Blob:
    """Add a picture unless it is there, and take it under its row lock; two uploads of one picture
    may end at once. `found` is its media type, and its width and height in pixels."""
    media_type, width, height = found
    await tx.execute(
        insert(Blob)
        .values(sha256=sha256, folder=folder, media_type=media_type, width=width, height=height)
        .on_conflict_do_nothing()
    )
    return await tx.get_one(Blob, sha256, with_for_update=True, populate_existing=True)


async def blob_for_change(tx: AsyncSession, sha256: str) -> Blob | None:
    """Take a picture under its row lock, if it is there."""
    return await tx.get(Blob, sha256, with_for_update=True, populate_existing=True)


async def used_elsewhere(session: AsyncSession, sha256: str, work_order_id: UUID) -> bool:
    """Tell whether a picture is kept as evidence of another order, too."""
    found = await session.scalar(
        select(Evidence.id)
        .where(
            Evidence.blob_sha256 == sha256,
            Evidence.work_order_id != work_order_id,
            Evidence.state == UploadState.STORED,
        )
        .limit(1)
    )
    return found is not None


async def still_used(tx: AsyncSession, sha256: str) -> bool:
    """Tell whether a picture is evidence of any order that is not forgotten."""
    found = await tx.scalar(
        select(Evidence.id)
        .where(
            Evidence.blob_sha256 == sha256,
            Evidence.state == UploadState.STORED,
            Evidence.forgotten_at.is_(None),
        )
        .limit(1)
    )
    return found is not None


async def expiring(tx: AsyncSession, now: datetime, limit: int) -> Sequence[Evidence]:
    """Take uploads whose bytes did not come in time under their row locks, the longest over first.

    One that is whole is not over: it is settled as soon as the storage lets it.
    """
    found = await tx.scalars(
        select(Evidence)
        .where(
            Evidence.state == literal_column("'announced'"),
            Evidence.expires_at < now,
            Evidence.received < Evidence.bytes,
        )
        .order_by(Evidence.expires_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return found.all()


_FORGET = text(
    """
    WITH due AS (
        SELECT one.id FROM unnest(
            CAST(:units AS uuid[]), CAST(:before AS timestamptz[])
        ) AS unit (id, before)
        CROSS JOIN LATERAL (
            SELECT e.id FROM evidence AS e
            WHERE e.org_unit_id = unit.id AND e.state = 'stored' AND e.forgotten_at IS NULL
            AND e.stored_at < unit.before
            ORDER BY e.stored_at LIMIT :limit
        ) AS one
        LIMIT :limit
    )
    UPDATE evidence SET forgotten_at = :now, point = NULL, upload_metadata = ''
    FROM due WHERE evidence.id = due.id
    RETURNING evidence.id
    """
)


async def forget(
    tx: AsyncSession, before: Sequence[tuple[UUID, datetime]], now: datetime, limit: int
) -> Sequence[UUID]:
    """Mark evidence of org units that was stored before a moment of each as forgotten, and forget
    where the phone was."""
    given = {
        "units": [unit for unit, _ in before],
        "before": [moment for _, moment in before],
        "now": now,
        "limit": limit,
    }
    return (await tx.scalars(_FORGET, given)).all()
