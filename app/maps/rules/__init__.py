"""What map clients may ask: the squares of tiles, and the words of OGC API - Features."""
