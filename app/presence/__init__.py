"""Presence: who is on shift right now, and, where they agree to it for the shift, about where."""
