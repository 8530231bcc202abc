"""Reads of retention, and the row locks under which it changes."""
