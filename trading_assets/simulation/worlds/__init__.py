"""Worlds whose best policy, forecast or schedule is known: what learning is held against."""
