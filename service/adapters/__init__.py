"""Everyone outside: the exchange, the model, the clock. A vendor's words end here."""
