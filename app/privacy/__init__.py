"""Privacy: what is kept of persons, for how long, and what happens when they ask for it."""
