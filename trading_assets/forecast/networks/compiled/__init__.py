"""Kernels of the recurrent network and of attention, over strips of overlapping windows."""
