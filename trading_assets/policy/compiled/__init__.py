"""Kernels that turn actions into weights, book by book."""
