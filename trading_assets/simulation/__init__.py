"""The market core, its environments, and worlds whose best policy is known."""
