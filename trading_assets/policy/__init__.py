"""Agents: what they observe, how they are trained, stored and asked for a decision."""
