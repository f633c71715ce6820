"""Hostile names, keys, configs and rows against every entry, each judged by a referee of its own."""
