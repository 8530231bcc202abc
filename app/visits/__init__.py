"""Visits: one technician at one door, from arrival to leaving."""
