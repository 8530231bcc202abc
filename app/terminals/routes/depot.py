"""Doorways of a depot's work, and of a terminal's history."""

from typing import Annotated

from fastapi import Path

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.core.paging import PageSize, PageToken, cut, key_of, token_of
from app.terminals import queries
from app.terminals.routes.callers import Depot, Reader
from app.terminals.schemas.depot import BatchIn, BatchOut, BatchPreviewOut, HistoryOut
from app.terminals.schemas.stock import SerialNumber
from app.terminals.service import depot
from app.terminals.service.depot import Batch

router = Router(prefix="/v1", tags=["terminals"])

_LAST = 2**53


def _batch(body: BatchIn) -> Batch:
    return Batch(body.handling, body.serial_numbers, body.why, body.technician_id)


@router.post("/terminal-moves/preview", operation_id="terminals_moves_preview")
async def preview(body: BatchIn, clerk: Depot, read: Read, lang: Language) -> BatchPreviewOut:
    """Say what a batch would do, row by row; nothing is moved."""
    return BatchPreviewOut.of(await depot.preview(read, clerk, _batch(body)), lang)


@router.post("/terminal-moves", operation_id="terminals_moves")
async def move(body: BatchIn, clerk: Depot, tx: Tx, now: Now) -> BatchOut:
    """Move many terminals at once: all of them, or none when one cannot be moved.

    `terminals-not-moved` names each row that cannot be done, with why.
    """
    return BatchOut.of(await depot.carry_out(tx, body.id, clerk, _batch(body), now))


@router.get("/terminals/{serial_number}/history", operation_id="terminals_history")
async def history(
    serial_number: Annotated[SerialNumber, Path()],
    reader: Reader,
    read: Read,
    size: PageSize = 50,
    token: PageToken = None,
) -> HistoryOut:
    """Read a terminal's chain of custody, the newest move first."""
    terminal = await queries.numbered(read, serial_number, reader)
    before = key_of(token, int)[0] if token else _LAST
    moves = await queries.history(read, terminal.id, before=before, size=size + 1)
    rows, last = cut(moves, size)
    return HistoryOut.of(terminal, list(rows), token_of(last.number) if last else None)
