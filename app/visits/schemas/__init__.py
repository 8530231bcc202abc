"""Wire shapes of visits. Distances are in metres, money in fen, times have a zone."""
