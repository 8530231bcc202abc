"""Terminals: serial numbers and where each one is."""
