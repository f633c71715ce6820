"""The protocol of a source of bars, and the sources that need no service of their own."""
