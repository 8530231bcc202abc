"""Wire shapes of maps."""
