"""Doorways of terminals scanned at a door."""

from uuid import UUID

from fastapi import status

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.visits.routes.callers import Technician
from app.visits.schemas.terminals import ScanIn, ScanOut, ScansOut, UndoIn
from app.visits.service import terminals

router = Router(prefix="/v1", tags=["visits"])


@router.post(
    "/visits/{visit_id}/terminals",
    status_code=status.HTTP_201_CREATED,
    operation_id="visits_terminals_scan",
)
async def scan(
    visit_id: UUID, body: ScanIn, technician: Technician, tx: Tx, now: Now, lang: Language
) -> ScanOut:
    """Fit, take away, swap or take in a terminal; it is booked there at once.

    Only what is in one's own van can be fitted, and only what stands at this customer's can be
    taken away; for anything else the answer says where it is booked and what to do.
    """
    return ScanOut.of(await terminals.scan(tx, visit_id, technician, body.scan(), now), lang)


@router.get("/visits/{visit_id}/terminals", operation_id="visits_terminals_list")
async def listed(visit_id: UUID, technician: Technician, read: Read, lang: Language) -> ScansOut:
    """List what was scanned in one's own visit, oldest first."""
    made = await terminals.scanned(read, visit_id, technician)
    return ScansOut(scans=[ScanOut.of(one, lang) for one in made])


@router.post("/visits/{visit_id}/terminals/{scan_id}/undo", operation_id="visits_terminals_undo")
async def undo(
    visit_id: UUID,
    scan_id: UUID,
    body: UndoIn,
    technician: Technician,
    tx: Tx,
    now: Now,
    lang: Language,
) -> ScanOut:
    """Take a scan back while the visit goes on; each terminal is again where it was before."""
    made = await terminals.undo(
        tx, visit_id, scan_id, technician, device_at=body.device_at, now=now
    )
    return ScanOut.of(made, lang)
