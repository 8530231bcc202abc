"""Doorways of the territory, a file for each topic."""

from fastapi import APIRouter

from app.territory.routes.contracts import router as contracts

router = APIRouter(prefix="/v1", tags=["territory"])
for topic in (contracts,):
    router.include_router(topic)
