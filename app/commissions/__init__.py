"""Commissions: what technicians earn by sales, in a ledger that is only added to."""
