"""Grids leave the map: their ground is nobody's from now on, and what is dated with them ends."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.grids import boundaries

_RETIRE = text(
    "UPDATE grid SET retired_at = :now, version = version + 1"
    " WHERE id = ANY(CAST(:ids AS uuid[])) AND retired_at IS NULL"
)
_END_LISTS = text(
    "UPDATE grid_list_entry SET valid_to = greatest(:now, valid_from)"
    " WHERE grid_id = ANY(CAST(:ids AS uuid[])) AND valid_to IS NULL RETURNING id"
)
# What has not begun by that day ends on the day it begins, and so never holds.
_END_CONTRACTS = text(
    """
    UPDATE grid_contract SET valid_to = greatest(CAST(:day AS date), valid_from)
    WHERE grid_id = ANY(CAST(:ids AS uuid[]))
        AND (valid_to IS NULL OR valid_to > greatest(CAST(:day AS date), valid_from))
    RETURNING id
    """
)
_MEMBERSHIPS = """
    FROM grid_membership WHERE grid_id = ANY(CAST(:ids AS uuid[]))
        AND (valid_to IS NULL OR valid_to > greatest(CAST(:day AS date), valid_from))
"""
_COUNT_MEMBERSHIPS = text(f"SELECT count(*) {_MEMBERSHIPS}")
_END_MEMBERSHIPS = text(
    f"""
    UPDATE grid_membership SET valid_to = greatest(CAST(:day AS date), valid_from)
    WHERE id IN (SELECT id {_MEMBERSHIPS} ORDER BY id FOR UPDATE) RETURNING id
    """  # noqa: S608
)


async def memberships_to_end(
    session: AsyncSession, grid_ids: Collection[UUID], *, day: date
) -> int:
    """Count the memberships that would end if grids retired on a local day."""
    given = {"ids": list(grid_ids), "day": day}
    return int((await session.execute(_COUNT_MEMBERSHIPS, given)).scalar_one())


async def retire(
    tx: AsyncSession, grid_ids: Collection[UUID], *, day: date, now: datetime
) -> Sequence[UUID]:
    """Retire grids at `now` (UTC): boundaries and lists end then, the rest on the local `day`.

    Memberships and contracts no longer hold on that day; those to come are taken back. Returns the
    lines of lists that have ended, for an heir to go on with. The caller holds the map `alone`.
    """
    ids = list(grid_ids)
    given = {"ids": ids, "day": day, "now": now}
    await boundaries.end(tx, ids, now=now)
    await tx.execute(_RETIRE, {"ids": ids, "now": now})
    audit.note(tx, table="grid", operation="retire", ids=ids)
    ended: dict[str, Sequence[UUID]] = {}
    for table, statement, names in (
        ("grid_list_entry", _END_LISTS, ("ids", "now")),
        ("grid_contract", _END_CONTRACTS, ("ids", "day")),
        ("grid_membership", _END_MEMBERSHIPS, ("ids", "day")),
    ):
        rows = (await tx.scalars(statement, {name: given[name] for name in names})).all()
        if rows:
            audit.note(tx, table=table, operation="update", ids=rows, columns=["valid_to"])
        ended[table] = rows
    return ended["grid_list_entry"]
