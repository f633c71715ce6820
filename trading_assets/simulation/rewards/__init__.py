"""What a policy is paid for a bar, net of costs."""
