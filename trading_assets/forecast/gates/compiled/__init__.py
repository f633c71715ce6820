"""Machine code of the gate models."""
