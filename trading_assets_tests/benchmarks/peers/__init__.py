"""Runs in the peers' environment and imports nothing of the project."""
