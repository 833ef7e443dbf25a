"""The risk rules that a proposal must pass before it becomes an order."""
