"""`python -m service` that resolves no name while the file `unresolved` is in its folder."""

import socket
from pathlib import Path
from typing import Any, Final

from service.cli import main

FILE: Final = "unresolved"
_resolved = socket.getaddrinfo


def asked(host: Any, *others: Any, **named: Any) -> Any:
    # Addresses need no resolver; the database's is one.
    if host == "localhost" and Path(FILE).exists():
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    return _resolved(host, *others, **named)


if __name__ == "__main__":
    socket.getaddrinfo = asked
    main()
