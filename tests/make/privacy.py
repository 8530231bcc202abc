"""Rows as old as a test wants them."""

from datetime import timedelta
from uuid import UUID

from app.core.clock import wall
from app.core.db import first_id_at, new_id


def aged(days: float) -> UUID:
    """Make an id as it was made so many days before now."""
    return UUID(int=first_id_at(wall() - timedelta(days=days)).int | (new_id().int % 2**62))
