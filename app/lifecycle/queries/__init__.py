"""Reads of the lifecycle."""

from app.lifecycle.queries.standing import Lifecycle, of

__all__ = ["Lifecycle", "of"]
