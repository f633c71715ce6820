"""Sessions of the exchanges, the grid of bars in them, and what is missing from it."""
