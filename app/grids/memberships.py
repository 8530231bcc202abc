"""Memberships as commands of many rows read and write them: a bounded number of statements."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.grids.rules import MembershipKind
from app.grids.rules.bulk import Person
from app.grids.rules.terms import Term

_GRIDS_OF = text(
    "SELECT DISTINCT grid_id FROM grid_membership WHERE id = ANY(CAST(:ids AS uuid[]))"
)


async def grids_of(session: AsyncSession, membership_ids: Collection[UUID]) -> set[UUID]:
    """Say which grids some memberships are of; that never changes."""
    if not membership_ids:
        return set()
    return set(await session.scalars(_GRIDS_OF, {"ids": list(membership_ids)}))


_OURS = """
    SELECT g.id, g.code, g.name FROM grid g
    WHERE g.id = ANY(CAST(:ids AS uuid[])) AND g.retired_at IS NULL
        AND g.org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
    ORDER BY g.id
"""
_READ_OURS = text(_OURS)
# As strong as it must be that two commands follow each other, and no stronger: an order that is
# being placed in the grid only refers to it, and does not wait.
_LOCK_OURS = text(f"{_OURS} FOR NO KEY UPDATE")


async def grids_within(
    session: AsyncSession, grid_ids: Collection[UUID], caller: Caller, *, locking: bool
) -> dict[UUID, tuple[str, str]]:
    """Read code and name of those grids that are the caller's and not retired.

    `locking` keeps them locked until the transaction ends, taken by id, so that two commands over
    the same grids follow each other and never wait for one another.
    """
    rows = await session.execute(
        _LOCK_OURS if locking else _READ_OURS,
        {"ids": list(grid_ids), "org_path": caller.org_path},
    )
    return {row.id: (row.code, row.name) for row in rows}


_PEOPLE = text(
    """
    SELECT t.id, t.code, t.name, t.active, starts_with(o.path, :org_path) AS ours
    FROM technician t JOIN org_unit o ON o.id = t.org_unit_id
    WHERE t.id = ANY(CAST(:ids AS uuid[]))
    """
)


async def people(
    session: AsyncSession, technician_ids: Collection[UUID], caller: Caller
) -> dict[UUID, Person]:
    """Read what technicians are called, by their ids, and whether they are the caller's."""
    rows = await session.execute(
        _PEOPLE, {"ids": list(technician_ids), "org_path": caller.org_path}
    )
    return {row.id: Person(*row) for row in rows}


_TERMS = """
    SELECT id, grid_id, technician_id, kind, rank, valid_from, valid_to, weekdays, ratio
    FROM grid_membership
    WHERE id = ANY(CAST(:ids AS uuid[])) OR (grid_id = ANY(CAST(:grid_ids AS uuid[]))
        AND (valid_to IS NULL OR valid_to >= :first_day))
    ORDER BY id
"""
_READ_TERMS = text(_TERMS)
_LOCK_TERMS = text(f"{_TERMS} FOR UPDATE")


async def terms(
    session: AsyncSession,
    grid_ids: Collection[UUID],
    *,
    first_day: date,
    ids: Collection[UUID] = (),
    locking: bool = False,
) -> list[Term]:
    """Read the memberships of some grids that end on a local day or later, and others by id."""
    rows = await session.execute(
        _LOCK_TERMS if locking else _READ_TERMS,
        {"ids": list(ids), "grid_ids": list(grid_ids), "first_day": first_day},
    )
    return [Term(**{**row._mapping, "kind": MembershipKind(row.kind)}) for row in rows]


_END = text(
    """
    UPDATE grid_membership SET valid_to = given.day
    FROM unnest(CAST(:ids AS uuid[]), CAST(:days AS date[])) AS given (id, day)
    WHERE grid_membership.id = given.id
    """
)
_RANK = text(
    """
    UPDATE grid_membership SET rank = given.rank
    FROM unnest(CAST(:ids AS uuid[]), CAST(:ranks AS bigint[])) AS given (id, rank)
    WHERE grid_membership.id = given.id
    """
)
_BEGIN = text(
    """
    INSERT INTO grid_membership
        (id, grid_id, technician_id, kind, rank, valid_from, valid_to, weekdays, ratio)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:grid_ids AS uuid[]),
        CAST(:technician_ids AS uuid[]), CAST(:kinds AS text[]), CAST(:ranks AS bigint[]),
        CAST(:froms AS date[]), CAST(:tos AS date[]), CAST(:weekdays AS bigint[]),
        CAST(:ratios AS bigint[]))
    """
)


async def write(
    tx: AsyncSession,
    *,
    ends: Mapping[UUID, date],
    begins: Sequence[Term],
    ranks: Mapping[UUID, int] | None = None,
) -> None:
    """Write ends and ranks by membership, then what begins, in one statement each.

    Raises IntegrityError where an id or a primary's time is taken, which whoever holds the grids
    locked has ruled out, but for an id of somebody else's grid.
    """
    if ends:
        await tx.execute(_END, {"ids": list(ends), "days": list(ends.values())})
        _noted(tx, ends, "valid_to")
    if ranks:
        await tx.execute(_RANK, {"ids": list(ranks), "ranks": list(ranks.values())})
        _noted(tx, ranks, "rank")
    if begins:
        await tx.execute(
            _BEGIN,
            {
                "ids": [one.id for one in begins],
                "grid_ids": [one.grid_id for one in begins],
                "technician_ids": [one.technician_id for one in begins],
                "kinds": [one.kind.value for one in begins],
                "ranks": [one.rank for one in begins],
                "froms": [one.valid_from for one in begins],
                "tos": [one.valid_to for one in begins],
                "weekdays": [one.weekdays for one in begins],
                "ratios": [one.ratio for one in begins],
            },
        )
        audit.note(tx, table="grid_membership", operation="insert", ids=[one.id for one in begins])


def _noted(tx: AsyncSession, changed: Iterable[UUID], column: str) -> None:
    audit.note(tx, table="grid_membership", operation="update", ids=list(changed), columns=[column])
