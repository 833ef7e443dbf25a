"""Repeated jobs: a `Loop` declares one, and the `Runner` repeats all of them."""
