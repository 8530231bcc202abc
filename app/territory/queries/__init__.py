"""What the territory reads, a file for each topic."""
