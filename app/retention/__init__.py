"""Retention: customers who may leave, have left or whose contract ends, and what is offered."""
