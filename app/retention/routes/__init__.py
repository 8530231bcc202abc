"""Doorways of retention."""

from app.core.doorways import Router
from app.retention.routes.cases import router as cases
from app.retention.routes.figures import router as figures
from app.retention.routes.leavers import router as leavers
from app.retention.routes.lists import router as lists
from app.retention.routes.terms import router as terms
from app.retention.routes.toolkits import router as toolkits

__all__ = ["router"]

router = Router()
for one in (cases, lists, terms, toolkits, leavers, figures):
    router.include_router(one)
