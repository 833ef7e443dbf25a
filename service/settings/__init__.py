"""What the operator may change while the service runs: the typed table and its cache."""
