"""Paper trading: orders, brokers, the daily session, its ledger and its audit log."""
