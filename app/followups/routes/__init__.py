"""Doorways of follow-ups: the customer's survey, and what supervisors see and do."""

from app.core.doorways import Router
from app.followups.routes.supervising import router as supervising
from app.followups.routes.surveys import router as surveys

__all__ = ["router"]

router = Router()
router.include_router(surveys)
router.include_router(supervising)
