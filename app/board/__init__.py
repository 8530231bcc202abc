"""The board: a supervisor's day at one look, and what of it has changed; it only reads."""
