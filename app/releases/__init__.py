"""Releases: which versions of the phone app are served, which will end, where the new one is."""
