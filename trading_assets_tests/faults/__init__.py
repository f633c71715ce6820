"""Faults that the lake has to survive: what `make faults` sweeps and the tests sample."""
