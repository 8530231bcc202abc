"""Grids: who looks after which piece of the map, with dates and history."""
