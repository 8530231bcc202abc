"""Technicians: skills, shifts, leave and the minutes already promised of each day."""
