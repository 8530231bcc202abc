"""Reads of planning that have a name: what a day is planned from, and plans."""
