"""Limits on what may be traded, applied before every trade."""
