"""What changes the territory, a file for each topic."""
