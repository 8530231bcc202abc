"""After the commit, and from time to time: shapes that tiles cannot draw yet are drawn."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.grids import boundaries, tile_shapes

# Grids a transaction draws at most, so that the map is not held for long.
ROUND = 500


async def draw_shapes(worker: Worker) -> None:
    """Draw the shapes that tiles cannot draw yet: of a large import, or older than tiles are."""
    tried: list[UUID] = []
    while True:
        async with worker.database.read() as read:
            left = await tile_shapes.not_drawn(read, most=ROUND)
        if left == tried:  # nothing is left, or nothing that could be drawn
            return
        async with worker.database.begin() as tx:
            audit.acting(tx, "grids.draw_shapes")
            await boundaries.alone(tx)
            await tile_shapes.draw(tx, left)
            await boundaries.new_edition(tx)
        tried = left
