"""What the board puts together, and how it tells of changes."""
