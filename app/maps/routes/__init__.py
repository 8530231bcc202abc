"""Doorways of maps: `/v1/tiles` and `/ogc`."""

from fastapi import APIRouter

from app.maps.routes import ogc, tiles

router = APIRouter()
router.include_router(tiles.router)
router.include_router(ogc.router)
