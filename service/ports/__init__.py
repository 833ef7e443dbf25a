"""Protocols of what the flows, the loops and the web need from outside, in our own terms."""
