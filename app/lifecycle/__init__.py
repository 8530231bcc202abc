"""Lifecycle: where customers stand, what they are worth, and whether they are about to leave."""
