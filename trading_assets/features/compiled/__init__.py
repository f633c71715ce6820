"""Machine code of the features: one pass over the rows of a symbol, from its state on."""
