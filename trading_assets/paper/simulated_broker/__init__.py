"""A simulated broker with a durable book of its own, reached only through its gateway."""
