"""Phones: what has changed for a technician since a cursor, and what they did while offline."""
