"""Reconciliation: day by day, what we sold and what the ordering system has are the same, or it is
said why not."""
