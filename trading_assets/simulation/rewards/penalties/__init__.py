"""What rewards are reduced by."""
