"""Doorways of sales."""

from app.core.doorways import Router
from app.sales.routes.consent import router as consent
from app.sales.routes.funnel import router as funnel
from app.sales.routes.ledger import router as ledger
from app.sales.routes.selling import router as selling

__all__ = ["router"]

router = Router()
router.include_router(consent)
# `funnel` is not the id of a sale.
router.include_router(funnel)
router.include_router(selling)
router.include_router(ledger)
