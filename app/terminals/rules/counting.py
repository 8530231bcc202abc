"""Counting a van: what should be there against what is, and what a difference can come from."""

from enum import StrEnum


class CountState(StrEnum):
    """How far a count has come; a later count of the same van takes an open one's place."""

    OPEN = "open"
    SETTLED = "settled"
    REPLACED = "replaced"
