"""Suggestions: what to offer whom and why, what is held back and why, and the answers."""
