"""Splits, dividends, spin-offs and renames, in every version that was known."""
