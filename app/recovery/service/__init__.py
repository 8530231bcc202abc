"""What is done to get terminals back: they become due, are fetched, and are settled."""
