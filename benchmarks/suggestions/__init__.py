"""A simulated field in which policies of suggesting are played through the real service."""
