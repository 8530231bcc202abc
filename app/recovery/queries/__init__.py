"""Reads of recovery: what is owed and needed, pick-ups and where their orders stand, rates."""
