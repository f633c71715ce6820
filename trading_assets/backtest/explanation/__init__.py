"""What moved decisions and forecasts of a fold, and what its inputs were worth."""
