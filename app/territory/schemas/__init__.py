"""Wire shapes of the territory, a file for each topic."""
