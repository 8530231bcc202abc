"""Territory: redrawing the grids with all that lies in them, handing them over, growing them."""
