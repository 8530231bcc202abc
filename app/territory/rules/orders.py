"""What becomes of an open order when the map under it changes."""

from enum import StrEnum
from uuid import UUID

from app.workorders.rules import WAITING, State, UnplacedReason

# Their points are missing or cannot be trusted, so that only a list says where they belong.
WITHOUT_PLACE = frozenset({UnplacedReason.NO_POINT, UnplacedReason.SHARED_POINT})


class Move(StrEnum):
    """What becomes of an order: it stays, it lies in another grid or in none, or it is tried."""

    STAYS = "stays"
    MOVES = "moves"
    TRY = "try"


def move_of(
    state: State, reason: UnplacedReason | None, grid_id: UUID | None, there: UUID | None
) -> Move:
    """Say what becomes of an open order in a grid (None: in none) when the map says `there`.

    One that somebody holds without a grid was given by hand, and stays so. One that waits for a
    grid is tried again where there is one now; dispatch finds it, as it always does.
    """
    if grid_id == there or (there is None and reason in WITHOUT_PLACE):
        return Move.STAYS
    if grid_id is None:
        return Move.TRY if state in WAITING else Move.STAYS
    return Move.MOVES
