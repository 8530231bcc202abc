"""What is done with evidence: announced, received, settled, looked at, shown and forgotten."""
