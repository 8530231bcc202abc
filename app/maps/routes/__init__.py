"""Doorways of maps: `/v1/tiles` and `/ogc`."""

from app.core.doorways import Router
from app.maps.routes import ogc, tiles

router = Router()
router.include_router(tiles.router)
router.include_router(ogc.router)
