"""Where a portfolio's profit came from: parts that add up to it."""
