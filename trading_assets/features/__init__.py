"""What a bar says about its symbol: columns that are functions of past bars only."""
