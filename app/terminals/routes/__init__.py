"""Doorways of terminals: where they are, a depot's work, hand-overs, counts and losses."""

from app.core.doorways import Router
from app.terminals.routes.counting import router as counting
from app.terminals.routes.depot import router as depot
from app.terminals.routes.handing import router as handing
from app.terminals.routes.stock import router as stock

__all__ = ["router"]

router = Router()
router.include_router(stock)
router.include_router(handing)
router.include_router(depot)
router.include_router(counting)
