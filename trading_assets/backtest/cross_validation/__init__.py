"""Combinatorial purged cross-validation of what is cheap to fit, see `combinatorial_splits`."""
