"""Kernels that project weights on limits, one row at a time."""
