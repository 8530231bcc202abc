"""What redrawing reads: the grids it concerns, what lies in them, and earlier changes."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.grids.models import GridChange
from app.grids.rules import GridKind, MembershipKind
from app.territory.rules.following import Member


class KnownGrid(NamedTuple):
    """A grid as redrawing needs it; `wkb` is the shape in force (WGS-84), None: it has none."""

    id: UUID
    code: str
    name: str
    kind: GridKind
    version: int
    retired_at: datetime | None
    org_unit_id: UUID
    org_path: str
    time_zone: str
    wkb: bytes | None


_LOCK = text("SELECT id FROM grid WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE")
_GRIDS = text(
    """
    SELECT g.id, g.code, g.name, g.kind, g.version, g.retired_at, g.org_unit_id, o.path,
        o.time_zone, ST_AsBinary(b.boundary) AS wkb
    FROM grid g JOIN org_unit o ON o.id = g.org_unit_id
    LEFT JOIN grid_boundary b ON b.grid_id = g.id AND b.valid_to IS NULL
    WHERE g.id = ANY(CAST(:ids AS uuid[])) AND starts_with(o.path, :org_path)
    """
)


async def grids(
    session: AsyncSession, ids: Sequence[UUID], caller: Caller, *, lock: bool = False
) -> dict[UUID, KnownGrid]:
    """Read grids of the caller's part of the organisation, in the order of the ids.

    `lock` holds their rows until the transaction ends. Raises NotFound.
    """
    if lock:
        await session.execute(_LOCK, {"ids": list(ids)})
    rows = await session.execute(_GRIDS, {"ids": list(ids), "org_path": caller.org_path})
    known = {
        row.id: KnownGrid(row.id, row.code, row.name, GridKind(row.kind), *row[4:]) for row in rows
    }
    for grid_id in ids:
        if grid_id not in known:
            raise NotFound(grid_id=grid_id)
    return {grid_id: known[grid_id] for grid_id in ids}


_TAKEN = text(
    """
    SELECT id, code FROM grid
    WHERE code = ANY(CAST(:codes AS text[])) OR id = ANY(CAST(:ids AS uuid[]))
    """
)


async def taken(
    session: AsyncSession, ids: Collection[UUID], codes: Collection[str]
) -> Sequence[Row[Any]]:
    """Find the grids, wherever they are, that have one of these ids or codes already."""
    return (await session.execute(_TAKEN, {"ids": list(ids), "codes": list(codes)})).all()


_LATEST = text(
    """
    SELECT c.kind, c.at, c.reason, a.username
    FROM grid_change c LEFT JOIN account a ON a.id = c.account_id
    WHERE c.grid_ids @> ARRAY[CAST(:grid_id AS uuid)]
    ORDER BY c.at DESC, c.id DESC LIMIT 1
    """
)


async def latest_change(session: AsyncSession, grid_id: UUID) -> Row[Any] | None:
    """Read who changed a grid last, when and why; None when nobody has yet."""
    return (await session.execute(_LATEST, {"grid_id": grid_id})).one_or_none()


_MEMBERS = text(
    """
    SELECT m.id, m.grid_id, m.technician_id, m.kind, m.rank, m.valid_from, m.valid_to,
        m.weekdays, m.ratio, t.code
    FROM grid_membership m JOIN technician t ON t.id = m.technician_id
    WHERE m.grid_id = ANY(CAST(:grid_ids AS uuid[]))
        AND (m.valid_to IS NULL OR m.valid_to > CAST(:now AS timestamptz)::date - 1)
    ORDER BY array_position(CAST(:grid_ids AS uuid[]), m.grid_id), m.rank, m.valid_from, m.id
    """
)


async def members(
    session: AsyncSession, grid_ids: Sequence[UUID], *, now: datetime
) -> tuple[list[Member], dict[UUID, str]]:
    """Read who looks after grids or will, in the order of the grids, and the people's codes.

    A day more of the past is read than any zone on Earth needs.
    """
    rows = (await session.execute(_MEMBERS, {"grid_ids": list(grid_ids), "now": now})).all()
    found = [
        Member(
            id=row.id,
            grid_id=row.grid_id,
            technician_id=row.technician_id,
            kind=MembershipKind(row.kind),
            rank=row.rank,
            valid_from=row.valid_from,
            valid_to=row.valid_to,
            weekdays=row.weekdays,
            ratio=row.ratio,
        )
        for row in rows
    ]
    return found, {row.technician_id: row.code for row in rows}


# --- changes that were made -----------------------------------------------------------------------

_PROGRESS = text(
    """
    SELECT c.id, c.addresses AS expected, r.addresses, r.queued_at, r.done_at,
        CASE WHEN r.queued_at IS NOT NULL AND r.done_at IS NULL THEN
            (SELECT count(*) FROM address_to_locate q WHERE q.grid_change_id = c.id)
        END AS waiting
    FROM grid_change c LEFT JOIN grid_relocation r ON r.change_id = c.id
    WHERE c.id = ANY(CAST(:ids AS uuid[]))
    """
)


async def progress(session: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Read how far the addresses have followed some changes."""
    rows = await session.execute(_PROGRESS, {"ids": list(ids)})
    return {row.id: row for row in rows}


async def one_change(session: AsyncSession, change_id: UUID, caller: Caller) -> GridChange:
    """Read a change of the caller's part of the organisation. Raises NotFound."""
    found = await session.scalar(
        select(GridChange).where(
            GridChange.id == change_id, subtree(GridChange.org_unit_id, caller)
        )
    )
    if found is None:
        raise NotFound(change_id=change_id)
    return found


async def change_page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    grid_id: UUID | None = None,
) -> Sequence[GridChange]:
    """Read up to `size + 1` changes of the caller's part of the organisation, the latest first."""
    statement = (
        select(GridChange)
        .where(subtree(GridChange.org_unit_id, caller))
        .order_by(GridChange.at.desc(), GridChange.id.desc())
        .limit(size + 1)
    )
    if grid_id is not None:
        statement = statement.where(GridChange.grid_ids.contains([grid_id]))
    if after is not None:
        statement = statement.where(tuple_(GridChange.at, GridChange.id) < after)
    return (await session.scalars(statement)).all()
