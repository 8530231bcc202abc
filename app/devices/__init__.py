"""Devices: the phones of technicians, when each was last heard of, how they are woken, and how they
are emptied from afar."""
