"""Doorways of planning: plans of days, the rest of a day planned anew, how well times were kept,
and who had how much."""

from app.core.doorways import Router
from app.planning.routes.accuracy import router as accuracy
from app.planning.routes.fairness import router as fairness
from app.planning.routes.plans import router as plans
from app.planning.routes.replanning import router as replanning

router = Router(prefix="/v1", tags=["planning"])
router.include_router(plans)
router.include_router(replanning)
router.include_router(accuracy)
router.include_router(fairness)
