"""Maps: what map clients read, as vector tiles and as OGC API - Features."""
