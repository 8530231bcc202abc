"""Doorways of many orders moved at once: previewed, carried out, read again, and undone."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Depends, status

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.dispatch import queries
from app.dispatch.schemas.by_hand import (
    MoveOut,
    MovePage,
    MovesIn,
    MoveSummaryOut,
    PreviewOut,
    UndoIn,
)
from app.dispatch.service import bulk_moves
from app.workorders.queries import org_units

router = Router(prefix="/v1/work-orders/moves", tags=["dispatch"])

Dispatcher = Annotated[
    Caller, Depends(caller(Role.SUPERVISOR, Role.ADMIN, scope="orders:dispatch"))
]


async def _today(session: Read, caller: Caller, now: datetime) -> date:
    units = await org_units(session, ids=[caller.org_unit_id])
    return now.astimezone(units.by_id[caller.org_unit_id].zone).date()


@router.post("/preview", operation_id="moves_preview")
async def preview(body: MovesIn, dispatcher: Dispatcher, read: Read, now: Now) -> PreviewOut:
    """Say what a command would do: each order's reasons why not, and what becomes of the days."""
    command = body.command(await _today(read, dispatcher, now))
    met, plan = await bulk_moves.preview(read, command, dispatcher, override=body.override, now=now)
    return PreviewOut.shaped(
        list(plan.rows), plan.effects, list(met.left_out), override=body.override
    )


@router.post("", operation_id="moves_carry_out", status_code=status.HTTP_201_CREATED)
async def carry_out(body: MovesIn, dispatcher: Dispatcher, tx: Tx, now: Now) -> MoveOut:
    """Move all orders of a command, or none; sent again, it is answered like the first time."""
    move = await bulk_moves.carry_out(
        tx,
        body.id,
        body.command(await _today(tx, dispatcher, now)),
        dispatcher,
        reason=body.reason,
        override=body.override,
        pin=body.pin,
        content_hash=body.content_hash(),
        now=now,
    )
    return await _shown(tx, move.id, dispatcher)


@router.get("", operation_id="moves_list")
async def listed(
    dispatcher: Dispatcher, read: Read, size: PageSize = 50, token: PageToken = None
) -> MovePage:
    """List one's own commands that moved orders or set the order of a day, the newest first."""
    after = key_of(token, datetime, UUID) if token else None
    rows, last = cut(
        await queries.moves_of(read, dispatcher, size=size, after=after and (after[0], after[1])),
        size,
    )
    undone = await queries.undone_by(read, [row.id for row in rows])
    return MovePage(
        moves=[MoveSummaryOut.summed(row, undone.get(row.id)) for row in rows],
        next_page_token=token_of(last.at, last.id) if last else None,
    )


@router.get("/{move_id}", operation_id="moves_one")
async def one(move_id: UUID, dispatcher: Dispatcher, read: Read) -> MoveOut:
    """Read a command of one's own part of the organisation with all that it moved."""
    return await _shown(read, move_id, dispatcher)


@router.post("/{move_id}/undo", operation_id="moves_undo", status_code=status.HTTP_201_CREATED)
async def undo(move_id: UUID, body: UndoIn, dispatcher: Dispatcher, tx: Tx, now: Now) -> MoveOut:
    """Put all orders of a command back where they were, if nobody has touched one since."""
    undoing = await bulk_moves.undo(
        tx,
        move_id,
        dispatcher,
        undo_id=body.id,
        reason=body.reason,
        override=body.override,
        content_hash=body.content_hash(),
        now=now,
    )
    return await _shown(tx, undoing.id, dispatcher)


async def _shown(session: Read, move_id: UUID, caller: Caller) -> MoveOut:
    move = await queries.move(session, move_id, caller)
    return MoveOut.of(move, (await queries.undone_by(session, [move_id])).get(move_id))
