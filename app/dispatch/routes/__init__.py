"""Doorways of dispatch: orders taken in and placed, moved by hand, and appointments."""

from app.core.doorways import Router
from app.dispatch.routes.appointments import router as appointments
from app.dispatch.routes.by_hand import router as by_hand
from app.dispatch.routes.loans import router as loans
from app.dispatch.routes.moves import router as moves_router
from app.dispatch.routes.orders import router as orders

__all__ = ["moves_router", "router"]

router = Router()
router.include_router(orders)
router.include_router(by_hand)
router.include_router(loans)
router.include_router(appointments)
