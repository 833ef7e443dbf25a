"""Client of Upbit's WebSocket: prices of all markets, and news of our orders."""
