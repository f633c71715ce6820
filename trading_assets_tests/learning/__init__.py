"""What agents learn where the optimum is known: `make learn`."""
