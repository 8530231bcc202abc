"""Reads of maps: tiles, and features as of a moment."""
