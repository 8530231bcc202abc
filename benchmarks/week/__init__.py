"""A simulated week: a branch at work through the public API, and what must hold all the while."""
