"""What answers over HTTP: thin handlers, response bodies, problem details, the plain page."""
