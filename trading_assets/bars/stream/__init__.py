"""Alpaca's live bars over a websocket."""
