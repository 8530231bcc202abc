"""Serviceability: what a line to an address can do, asked of the operator's own system at the door
and remembered for a while."""
