"""Rows as old as a test wants them."""

from datetime import datetime, timedelta
from uuid import UUID

from app.core.clock import wall
from app.core.db import first_id_at, new_id

# Ids as phones make them: by a clock that went wrong, far behind and far ahead, or without any.
ODD_IDS = {
    "clock behind": UUID("016f5e66-e800-7000-8000-000000000001"),
    "clock ahead": UUID("01b21dd2-1400-7000-8000-000000000002"),
    "no clock": UUID("f3a1b2c4-5d6e-4f70-8a9b-0c1d2e3f4a5b"),
}


def ago(days: float) -> datetime:
    """Give the moment so many days before now."""
    return wall() - timedelta(days=days)


def aged(days: float) -> UUID:
    """Make an id as it was made so many days before now."""
    return UUID(int=first_id_at(ago(days)).int | (new_id().int % 2**62))
