"""Wire shapes of sales; money is in fen, one hundredth of a yuan."""
