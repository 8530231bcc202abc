"""Reads of sync: the feed of what may have changed, and the rows of each of a phone's tables."""
