"""Doorways of suggestions: answers, contacts of all channels, what supervisors see and set.

Suggestions themselves are made through a visit (`/v1/visits/{id}/suggestions`).
"""

from app.core.doorways import Router
from app.suggestions.routes.answers import router as answers
from app.suggestions.routes.contacts import router as contacts
from app.suggestions.routes.supervising import router as supervising
from app.suggestions.routes.terms import router as terms

__all__ = ["router"]

router = Router()
router.include_router(answers)
router.include_router(terms)
router.include_router(contacts)
router.include_router(supervising)
