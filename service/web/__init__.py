"""The HTTP API: thin handlers, response bodies, problem details and the page."""
