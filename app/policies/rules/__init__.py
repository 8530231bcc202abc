"""Rules of policies: what is learned, how well, and what it would have earned."""
