"""How long the way from one place to another takes: learned from what was driven."""
