"""Dispatch: which order goes to whom, when, and the stored reasons."""
