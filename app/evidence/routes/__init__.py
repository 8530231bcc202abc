"""Doorways of evidence: uploads by the tus protocol, and what is shown to people."""

from app.core.doorways import Router
from app.evidence.routes.reading import router as reading
from app.evidence.routes.uploads import router as uploads

router = Router()
router.include_router(uploads)
router.include_router(reading)

__all__ = ["router"]
