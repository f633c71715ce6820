"""Which rows pass, which are quarantined, and what a month's verdict is."""
