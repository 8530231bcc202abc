"""Promises: until when an operator wants an order done, by dated rules of its org units."""
