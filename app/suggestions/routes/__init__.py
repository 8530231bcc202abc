"""Doorways of suggestions: answers, and what operators set.

Suggestions themselves are made through a visit (`/v1/visits/{id}/suggestions`).
"""

from fastapi import APIRouter

from app.suggestions.routes.answers import router as answers
from app.suggestions.routes.terms import router as terms

__all__ = ["router"]

router = APIRouter()
router.include_router(answers)
router.include_router(terms)
