"""`python -m service` is `trader`."""

from service.cli import main

main()
