"""What the next bars may bring: labels, the models that predict them, and their calibration."""
