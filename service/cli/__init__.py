"""The command line: as thin as a handler. docs/cli.md has a heading for each command."""

from service.cli.root import app, main

__all__ = ["app", "main"]
