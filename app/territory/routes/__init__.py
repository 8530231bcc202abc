"""Doorways of the territory, a file for each topic."""

from app.core.doorways import Router
from app.territory.routes.contracts import router as contracts
from app.territory.routes.cover import router as cover
from app.territory.routes.growth import router as growth
from app.territory.routes.handover import router as handover
from app.territory.routes.listing import router as listing
from app.territory.routes.memberships import router as memberships
from app.territory.routes.redraw import router as redraw
from app.territory.routes.roadmap import router as roadmap

router = Router(prefix="/v1", tags=["territory"])
for topic in (contracts, cover, growth, handover, listing, memberships, redraw, roadmap):
    router.include_router(topic)
