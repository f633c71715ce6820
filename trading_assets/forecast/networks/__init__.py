"""The forecasting network: its layers, its training on strips of windows, its export."""
