"""What the self-check looks at: the machine, the database, the exchange, the model."""
