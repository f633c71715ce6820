"""What is remembered of an account from bar to bar: the state of rewards and observations."""
