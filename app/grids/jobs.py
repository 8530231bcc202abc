"""From time to time: shapes that tiles cannot draw yet are drawn."""

from app.auth import audit
from app.core.jobs import Worker
from app.grids import boundaries, tile_shapes

# Grids a round draws at most, so that the map is not held for long; the next round goes on.
ROUND = 500


async def draw_shapes(worker: Worker) -> None:
    """Draw the shapes of grids that came into force before shapes were drawn for tiles."""
    async with worker.database.read() as read:
        if not await tile_shapes.not_drawn(read, most=1):
            return
    async with worker.database.begin() as tx:
        audit.acting(tx, "grids.draw_shapes")
        await boundaries.alone(tx)
        await tile_shapes.draw(tx, await tile_shapes.not_drawn(tx, most=ROUND))
        await boundaries.new_edition(tx)
