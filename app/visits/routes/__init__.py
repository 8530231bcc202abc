"""Doorways of visits: the day, each step at a door, whom one meets, what may be offered."""

from app.core.doorways import Router
from app.visits.routes.acceptance import router as acceptance
from app.visits.routes.activation import router as activation
from app.visits.routes.assists import router as assists
from app.visits.routes.check_ins import router as check_ins
from app.visits.routes.choices import router as choices
from app.visits.routes.day import router as day
from app.visits.routes.door import router as door
from app.visits.routes.earlier import router as earlier
from app.visits.routes.passing_on import router as passing_on
from app.visits.routes.progress import router as progress
from app.visits.routes.real_name import router as real_name
from app.visits.routes.steps import router as steps
from app.visits.routes.terminals import router as terminals

__all__ = ["router"]

router = Router()
# What is asked most comes first: see ROUTERS in app/main.py.
router.include_router(day)
router.include_router(steps)
router.include_router(progress)
router.include_router(terminals)
router.include_router(door)
router.include_router(activation)
router.include_router(acceptance)
router.include_router(passing_on)
router.include_router(assists)
router.include_router(earlier)
router.include_router(check_ins)
router.include_router(choices)
router.include_router(real_name)
