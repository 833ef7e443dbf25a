"""The local exchange and model: Upbit's and Gemini's APIs on loopback, for trading without keys.

Only `app`, `cli` and tests know this room.
"""
