"""Alpaca's market data over HTTP."""
