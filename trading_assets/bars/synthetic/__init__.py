"""A seeded market with everything that happens to real bars."""
