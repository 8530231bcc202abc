"""Reads of policies: the log of suggestions as arrays, the registry, and what each day came to."""
