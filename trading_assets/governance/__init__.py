"""Governance: drift, retraining and which bundle may trade."""
