"""A demo city that is the same for the same seed, a working day in it, and how both are loaded."""
