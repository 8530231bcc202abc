"""Doorways of work in progress: what is asked for, what is done, what is still missing."""

from uuid import UUID

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.core.i18n import Lang
from app.visits.routes.callers import Technician, Viewer
from app.visits.schemas.progress import ProgressIn, ProgressOut
from app.visits.schemas.template import OrderTemplateOut
from app.visits.service import progress
from app.visits.service.progress import Progress

router = Router(prefix="/v1", tags=["visits"])


@router.get("/work-orders/{work_order_id}/template", operation_id="visits_template")
async def template(work_order_id: UUID, viewer: Viewer, read: Read) -> OrderTemplateOut:
    """Read what an order asks for: checklist, evidence, limits, closing codes, in both languages.

    For the technician who holds the order, and for supervisors. A version never changes, so a phone
    may keep it by its id.
    """
    return OrderTemplateOut.of(*await progress.asked_by(read, work_order_id, viewer))


@router.put("/visits/{visit_id}/progress", operation_id="visits_keep_progress")
async def keep(
    visit_id: UUID, body: ProgressIn, technician: Technician, tx: Tx, now: Now, lang: Language
) -> ProgressOut:
    """Keep what this visit has checked and measured; nothing moves by it.

    It counts when the order is completed, also by whoever comes after a hand-back. What was sent
    earlier, by the phone's clock, and comes later does not undo what is newer.
    """
    kept = await progress.keep(
        tx,
        visit_id,
        technician,
        checked=body.checked,
        measurements=body.measured(),
        note=body.note,
        device_at=body.device_at,
        now=now,
    )
    return _out(kept, lang)


@router.get("/visits/{visit_id}/progress", operation_id="visits_progress")
async def read_progress(
    visit_id: UUID, technician: Technician, tx: Tx, lang: Language
) -> ProgressOut:
    """Read what was done for the order so far, and what each closing code still lacks."""
    return _out(await progress.progress_of(tx, visit_id, technician), lang)


def _out(found: Progress, lang: Lang) -> ProgressOut:
    return ProgressOut.of(
        found.visit, found.done, found.closings, template_id=found.template_id, lang=lang
    )
