"""Upbit Korea over REST: signing, rate limits, errors, formats and calls."""
