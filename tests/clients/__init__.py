"""Clients that others would generate: made from the description, compiled, and let live a day."""
