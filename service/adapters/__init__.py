"""Adapters to the outside: exchange, model, clock, alert targets. Vendors' terms end here."""
