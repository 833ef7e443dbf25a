"""Upbit Korea over REST: signing, limits, errors, the wire's words and the calls."""
