"""Kernels of the market core: loops over books and symbols on plain float64 arrays."""
