"""Gate models: simple models of the last bar, against which the network has to show itself."""
