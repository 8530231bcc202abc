"""Which grids there are, since when in which shape, and who looks after them: what lists show."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    TIMESTAMP,
    ColumnElement,
    Date,
    Select,
    and_,
    bindparam,
    cast,
    column,
    func,
    null,
    or_,
    select,
    table,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.auth.models import OrgUnit
from app.core.errors import NotFound
from app.grids.models import Grid, GridBoundary, GridContract, GridMembership
from app.grids.rules import GridKind, GridStage, MembershipKind


class KnownGrid(NamedTuple):
    """A grid with the stage and the shape it has at a moment, by its org unit's clock.

    `shaped_from`, `shaped_to`, `area_m2` and `wkb` (WGS-84) are the shape's; None: it has none.
    """

    id: UUID
    org_unit_id: UUID
    code: str
    name: str
    kind: GridKind
    version: int
    retired_at: datetime | None
    stage: GridStage
    shaped_from: datetime | None
    shaped_to: datetime | None
    change_id: UUID | None
    area_m2: float | None
    wkb: bytes | None


def stage_at(now: datetime) -> ColumnElement[GridStage]:
    """Make the column of the stage a grid has on the local day of a moment.

    To be used in a statement that reads `Grid` and joins its `OrgUnit`, whose midnight counts.
    """
    moment = bindparam(None, now, TIMESTAMP(timezone=True))
    day = cast(func.timezone(OrgUnit.time_zone, moment), Date)
    in_force = (
        select(GridContract.stage)
        .where(
            GridContract.grid_id == Grid.id,
            GridContract.valid_from <= day,
            or_(GridContract.valid_to.is_(None), GridContract.valid_to > day),
        )
        .correlate(Grid, OrgUnit)
        .scalar_subquery()
    )
    return func.coalesce(in_force, GridStage.NONE)


def _grids(
    caller: Caller, now: datetime, *, shaped: bool, at: datetime | None = None
) -> Select[Any]:
    """Read grids as they are `now`, or those that had a shape `at` a moment as they were then."""
    shape = and_(GridBoundary.grid_id == Grid.id, GridBoundary.valid_to.is_(None))
    if at is not None:
        until = or_(GridBoundary.valid_to.is_(None), GridBoundary.valid_to > at)
        shape = and_(GridBoundary.grid_id == Grid.id, GridBoundary.valid_from <= at, until)
    columns: list[Any] = [
        Grid.id,
        Grid.org_unit_id,
        Grid.code,
        Grid.name,
        Grid.kind,
        Grid.version,
        Grid.retired_at,
        stage_at(at or now).label("stage"),
        GridBoundary.valid_from.label("shaped_from"),
        GridBoundary.valid_to.label("shaped_to"),
        GridBoundary.change_id,
        GridBoundary.area_m2,
        (func.ST_AsBinary(GridBoundary.boundary) if shaped else null()).label("wkb"),
    ]
    return (
        select(*columns)
        .join(OrgUnit, OrgUnit.id == Grid.org_unit_id)
        .join(GridBoundary, shape, isouter=at is None)
        .where(subtree(Grid.org_unit_id, caller))
    )


async def must_know(
    session: AsyncSession, grid_id: UUID, caller: Caller, *, retired: bool = False
) -> None:
    """Raise NotFound unless a grid is of the caller's part of the organisation.

    One that is retired is not found either, unless `retired` asks for its past.
    """
    known = select(Grid.id).where(Grid.id == grid_id, subtree(Grid.org_unit_id, caller))
    if not retired:
        known = known.where(Grid.retired_at.is_(None))
    if await session.scalar(known) is None:
        raise NotFound(grid_id=grid_id)


async def one_grid(
    session: AsyncSession,
    grid_id: UUID,
    caller: Caller,
    *,
    now: datetime,
    at: datetime | None = None,
) -> KnownGrid:
    """Read a grid of the caller's part of the organisation, one that is retired too.

    With `at` as it was at a moment. Raises NotFound, also when it had no shape then.
    """
    statement = _grids(caller, now, shaped=True, at=at).where(Grid.id == grid_id)
    row = (await session.execute(statement)).one_or_none()
    if row is None:
        raise NotFound(grid_id=grid_id)
    return KnownGrid(**row._mapping)


async def grid_page(
    session: AsyncSession,
    caller: Caller,
    *,
    now: datetime,
    size: int,
    after: str | None,
    shaped: bool,
    at: datetime | None = None,
) -> list[KnownGrid]:
    """Read a page of grids by code, with one row more if there is a next page.

    With `at` they are those of that moment, since retired or not.
    """
    statement = _grids(caller, now, shaped=shaped, at=at).order_by(Grid.code).limit(size + 1)
    if at is None:
        statement = statement.where(Grid.retired_at.is_(None))
    if after is not None:
        statement = statement.where(Grid.code > after)
    return [KnownGrid(**row._mapping) for row in await session.execute(statement)]


async def all_boundaries(session: AsyncSession, caller: Caller) -> dict[str, bytes]:
    """Read the boundaries in force of the caller's part of the organisation: WKB by code."""
    rows = await session.execute(
        select(Grid.code, func.ST_AsBinary(GridBoundary.boundary).label("wkb"))
        .join(GridBoundary, GridBoundary.grid_id == Grid.id)
        .where(
            subtree(Grid.org_unit_id, caller),
            Grid.retired_at.is_(None),
            GridBoundary.valid_to.is_(None),
        )
    )
    return {row.code: row.wkb for row in rows}


class KnownBoundary(NamedTuple):
    """A shape that a grid has or had, as WKB in WGS-84; `notes` tell what its import changed."""

    id: UUID
    valid_from: datetime
    valid_to: datetime | None
    area_m2: float
    source: str
    notes: list[dict[str, Any]]
    change_id: UUID | None
    wkb: bytes


_HISTORY = select(
    GridBoundary.id,
    GridBoundary.valid_from,
    GridBoundary.valid_to,
    GridBoundary.area_m2,
    GridBoundary.source,
    GridBoundary.notes,
    GridBoundary.change_id,
    func.ST_AsBinary(GridBoundary.boundary).label("wkb"),
).order_by(GridBoundary.valid_from.desc(), GridBoundary.id.desc())


async def boundary_page(
    session: AsyncSession, grid_id: UUID, *, size: int, after: tuple[datetime, UUID] | None
) -> list[KnownBoundary]:
    """Read a page of a grid's shapes, newest first, with one row more if there is a next page."""
    statement = _HISTORY.where(GridBoundary.grid_id == grid_id).limit(size + 1)
    if after is not None:
        statement = statement.where(tuple_(GridBoundary.valid_from, GridBoundary.id) < after)
    return [KnownBoundary(**row._mapping) for row in await session.execute(statement)]


# Grids know of technicians only that they exist and where they belong.
_technician = table("technician", column("id"), column("code"), column("name"))


class KnownMembership(NamedTuple):
    """A membership with what grid and technician are called, as lists show it."""

    id: UUID
    grid_id: UUID
    grid_code: str
    grid_name: str
    technician_id: UUID
    technician_code: str
    technician_name: str
    kind: MembershipKind
    rank: int
    valid_from: date
    valid_to: date | None
    weekdays: int
    ratio: int


_MEMBERSHIPS = (
    select(
        GridMembership.id,
        GridMembership.grid_id,
        Grid.code.label("grid_code"),
        Grid.name.label("grid_name"),
        GridMembership.technician_id,
        _technician.c.code.label("technician_code"),
        _technician.c.name.label("technician_name"),
        GridMembership.kind,
        GridMembership.rank,
        GridMembership.valid_from,
        GridMembership.valid_to,
        GridMembership.weekdays,
        GridMembership.ratio,
    )
    .join(Grid, Grid.id == GridMembership.grid_id)
    .join(_technician, _technician.c.id == GridMembership.technician_id)
)


async def memberships_of_grid(
    session: AsyncSession, grid_id: UUID, *, at: datetime | None = None
) -> list[KnownMembership]:
    """List who has looked, looks and will look after a grid: primaries first, then by rank.

    Backups stand in the order in which they are asked. With `at` they are those who belonged to it
    on the local day of that moment.
    """
    statement = _MEMBERSHIPS.where(GridMembership.grid_id == grid_id).order_by(
        GridMembership.kind.desc(),
        GridMembership.rank,
        GridMembership.valid_from,
        GridMembership.technician_id,
    )
    if at is not None:
        day = cast(func.timezone(OrgUnit.time_zone, bindparam(None, at, TIMESTAMP(True))), Date)
        statement = statement.join(OrgUnit, OrgUnit.id == Grid.org_unit_id).where(
            GridMembership.valid_from <= day,
            or_(GridMembership.valid_to.is_(None), GridMembership.valid_to > day),
        )
    return [KnownMembership(**row._mapping) for row in await session.execute(statement)]


@dataclass(frozen=True, kw_only=True)
class MembershipSearch:
    """Which memberships to list: a technician's; `on` only those in force on a local day."""

    technician_id: UUID
    on: date | None = None
    after: tuple[date, UUID] | None = None


async def memberships_of_technician(
    session: AsyncSession, caller: Caller, search: MembershipSearch, *, size: int
) -> list[KnownMembership]:
    """Read a page of what a technician looks after in the caller's part of the organisation.

    The latest begun come first, with one row more if there is a next page.
    """
    statement = (
        _MEMBERSHIPS.where(
            GridMembership.technician_id == search.technician_id,
            subtree(Grid.org_unit_id, caller),
        )
        .order_by(GridMembership.valid_from.desc(), GridMembership.id.desc())
        .limit(size + 1)
    )
    if search.on is not None:
        statement = statement.where(
            GridMembership.valid_from <= search.on,
            or_(GridMembership.valid_to.is_(None), GridMembership.valid_to > search.on),
            GridMembership.weekdays.op("&")(1 << search.on.weekday()) != 0,
        )
    if search.after is not None:
        statement = statement.where(
            tuple_(GridMembership.valid_from, GridMembership.id) < search.after
        )
    return [KnownMembership(**row._mapping) for row in await session.execute(statement)]


async def primary_between(
    session: AsyncSession, grid_id: UUID, valid_from: date, valid_to: date | None
) -> KnownMembership | None:
    """Find the first primary of a grid on any of some local days (the last excluded)."""
    statement = _MEMBERSHIPS.where(
        GridMembership.grid_id == grid_id,
        GridMembership.kind == MembershipKind.PRIMARY,
        or_(GridMembership.valid_to.is_(None), GridMembership.valid_to > valid_from),
    ).order_by(GridMembership.valid_from)
    if valid_to is not None:
        statement = statement.where(GridMembership.valid_from < valid_to)
    row = (await session.execute(statement.limit(1))).one_or_none()
    return None if row is None else KnownMembership(**row._mapping)
