"""Who works for the same branch."""

from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

# A branch is a few crews; more than so many are no colleagues who know each other.
MOST = 300


class Named(NamedTuple):
    """A technician by id, code and name."""

    id: UUID
    code: str
    name: str


_OF_BRANCH = text(
    """
    SELECT t.id, t.code, t.name FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
    WHERE t.active AND starts_with(u.path, :branch) AND t.id <> :but
        AND (CAST(:wanted AS text) IS NULL OR :wanted IN (t.code, t.id::text))
    ORDER BY t.code LIMIT :most
    """
)


async def of_branch(
    session: AsyncSession, branch: str, *, but: UUID, wanted: str | None = None
) -> list[Named]:
    """List the active technicians of a branch, given by its path, `but` one; or of these only the
    one of a code or an id."""
    rows = await session.execute(
        _OF_BRANCH, {"branch": branch, "but": but, "wanted": wanted, "most": MOST}
    )
    return [Named(*row) for row in rows]
