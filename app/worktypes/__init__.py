"""Work types: what has to be done at a door before an order of a type counts as complete."""
