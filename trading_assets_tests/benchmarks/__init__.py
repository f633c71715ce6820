"""Benchmarks: figures with units, printed and kept; none of them is a test."""
