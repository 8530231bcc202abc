"""Wire shapes of retention."""
