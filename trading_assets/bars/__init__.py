"""Bars: sources, calendar, corporate actions and validation."""
