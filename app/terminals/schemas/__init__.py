"""Wire shapes of terminals."""
