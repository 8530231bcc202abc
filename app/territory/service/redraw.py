"""Redrawing grids: a command is looked ahead at, and then carried out in one transaction."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core import jobs
from app.core.clock import wall
from app.core.errors import SameIdOtherContent
from app.grids import boundaries, locating
from app.grids.boundaries import Shape
from app.grids.layers.shapes import area_m2, shapes_of
from app.grids.models import Grid, GridChange, GridMembership
from app.grids.retiring import retire
from app.territory.queries import relocation as relocation_queries
from app.territory.rules.commands import Asked, Reshape
from app.territory.rules.following import Becomes, Fate
from app.territory.service import contracts
from app.territory.service.outlook import Outlook, look_ahead
from app.territory.service.relocation import batch_size, move_orders
from app.workorders import queries as workorders


async def preview(session: AsyncSession, asked: Asked, caller: Caller, *, now: datetime) -> Outlook:
    """Say what a command would do, by the map of at most a second ago; nothing is held up.

    Raises what `look_ahead` raises. What the command would be refused for is in `refusal`.
    """
    index = await locating.for_reading(session)
    return await look_ahead(session, asked, caller, index=index, now=now)


async def carry_out(tx: AsyncSession, asked: Asked, caller: Caller, *, now: datetime) -> GridChange:
    """Redraw grids with all that lies in them; the same command again is answered like the first.

    Boundaries, memberships, lists and open orders change with the transaction, and so do the
    addresses when there is no more than a batch of them; more are located by the worker afterwards.
    Raises what `look_ahead` raises, WouldOverlap and SameIdOtherContent.
    """
    await boundaries.alone(tx)
    known = await tx.get(GridChange, asked.id)
    if known is not None:
        if known.content_hash != asked.content_hash or known.account_id != caller.account_id:
            raise SameIdOtherContent(id=asked.id)
        return known
    index = await locating.for_keeps(tx)
    ahead = await look_ahead(tx, asked, caller, index=index, now=now, lock=True)
    if ahead.refusal is not None:
        raise ahead.refusal
    change = GridChange(
        id=asked.id,
        org_unit_id=await _unit_above(tx, ahead),
        kind=asked.kind,
        at=now,
        account_id=caller.account_id,
        reason=asked.reason,
        grid_ids=ahead.plan.grid_ids,
        content_hash=asked.content_hash,
        asked=dict(asked.content),
        told=ahead.told,
        addresses=ahead.told["addresses"]["affected"],
    )
    tx.add(change)
    await tx.flush()
    await _redraw(tx, change, ahead, asked, now=now)
    await _let_members_follow(tx, ahead.fates)
    if ahead.plan.new:
        (split,) = ahead.plan.before
        days = {part: ahead.days[part] for part in ahead.plan.new}
        await contracts.follow_split(tx, of=split, parts=days)
    await move_orders(
        tx,
        ahead.index,
        ahead.orders,
        reason=asked.kind.value,
        facts={"change_id": str(asked.id)},
        now=now,
    )
    await _let_addresses_follow(tx, change, ahead, now=now)
    return change


async def _unit_above(tx: AsyncSession, ahead: Outlook) -> UUID:
    """Find the closest org unit above all grids that a command concerns."""
    units = await workorders.org_units(tx, ids={grid.org_unit_id for grid in ahead.grids.values()})
    paths = [grid.org_path for grid in ahead.grids.values()]
    above = [
        unit for unit in units.by_id.values() if all(path.startswith(unit.path) for path in paths)
    ]
    return max(above, key=lambda unit: len(unit.path)).id


_BUMP = text("UPDATE grid SET version = version + 1 WHERE id = ANY(CAST(:ids AS uuid[]))")


async def _redraw(
    tx: AsyncSession, change: GridChange, ahead: Outlook, asked: Asked, *, now: datetime
) -> None:
    made, first = ahead.plan, next(iter(ahead.grids.values()))
    tx.add_all(
        Grid(
            id=part.id,
            org_unit_id=first.org_unit_id,
            code=part.code,
            name=part.name,
            kind=first.kind,
        )
        for part in made.new.values()
    )
    await tx.flush()
    await _retire(tx, change, ahead, now=now)
    kept = [grid_id for grid_id in made.before if grid_id not in made.retired]
    await tx.execute(_BUMP, {"ids": kept})
    audit.note(tx, table="grid", operation=asked.kind.value, ids=kept)
    if made.after:
        sizes = area_m2(shapes_of(list(made.after.values()))).tolist()
        notes = asked.notes if isinstance(asked.command, Reshape) else ()
        shapes = {
            grid_id: Shape(shape, size, notes)
            for (grid_id, shape), size in zip(made.after.items(), sizes, strict=True)
        }
        await boundaries.reshape(tx, shapes, source=asked.kind.value, now=now, change_id=change.id)


# A line of a retired grid's list goes on with the heir from the very moment it ended.
_CONTINUE_LISTS = text(
    """
    INSERT INTO grid_list_entry
        (id, grid_id, kind, district_path, name, building, valid_from, change_id)
    SELECT gen_random_uuid(), :heir, kind, district_path, name, building, valid_to, :change_id
    FROM grid_list_entry WHERE id = ANY(CAST(:ids AS uuid[]))
    """
)


async def _retire(tx: AsyncSession, change: GridChange, ahead: Outlook, *, now: datetime) -> None:
    """Retire the grids that the plan gives up; their lists go on with the heir, if there is one."""
    made = ahead.plan
    days = sorted({ahead.days[grid_id] for grid_id in made.retired})
    for day in days:
        gone = [grid_id for grid_id in made.retired if ahead.days[grid_id] == day]
        lines = await retire(tx, gone, day=day, now=now)
        if lines and made.heir is not None:
            given = {"ids": list(lines), "heir": made.heir, "change_id": change.id}
            await tx.execute(_CONTINUE_LISTS, given)


async def _let_members_follow(tx: AsyncSession, fates: Sequence[Fate]) -> None:
    """End memberships, and begin others, as the rule has said (see `rules.following`)."""
    ends = {
        fate.member.id: fate.member.valid_to
        for fate in fates
        if fate.becomes in (Becomes.ENDED, Becomes.TAKEN_BACK)
    }
    if ends:
        held = select(GridMembership).where(GridMembership.id.in_(ends))
        for membership in await tx.scalars(held.order_by(GridMembership.id).with_for_update()):
            membership.valid_to = ends[membership.id]
        await tx.flush()
    tx.add_all(
        GridMembership(
            grid_id=fate.member.grid_id,
            technician_id=fate.member.technician_id,
            kind=fate.member.kind,
            rank=fate.member.rank,
            valid_from=fate.member.valid_from,
            valid_to=fate.member.valid_to,
            weekdays=fate.member.weekdays,
            ratio=fate.member.ratio,
        )
        for fate in fates
        if fate.becomes in (Becomes.COPIED, Becomes.BACKUP)
    )
    await tx.flush()


async def _let_addresses_follow(
    tx: AsyncSession, change: GridChange, ahead: Outlook, *, now: datetime
) -> None:
    if ahead.addresses.number > await batch_size(tx, now):
        await jobs.tell(tx, "map.changed", change_id=change.id)
        return
    await relocation_queries.write(tx, ahead.addresses, ahead.found)
    await relocation_queries.forget(tx, ahead.addresses)
    await relocation_queries.begin(tx, change.id, ahead.addresses.number, at=wall(), done=True)
