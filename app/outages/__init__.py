"""Outages: many homes of one place report at once, so one cause is worked on in place of many."""
