"""`python -m service`; once it has ended, a line on stderr for each client that is still open.

aiohttp warns of an open session only when that is destroyed. What a process holds to its end is
never destroyed, and so nobody would ever be warned.
"""

import atexit
import gc
import sys

import aiohttp

from service.cli import main


def _is_open(thing: object) -> bool:
    if isinstance(thing, aiohttp.ClientSession | aiohttp.BaseConnector):
        return not thing.closed
    # The SDK's, httpx or its successor, whichever it was installed with.
    return any(
        kind.__name__ in {"Client", "AsyncClient"} and kind.__module__.startswith("httpx")
        for kind in type(thing).__mro__
    ) and not getattr(thing, "is_closed", True)


def tell() -> None:
    for thing in gc.get_objects():
        if _is_open(thing):
            print(f"left open: {type(thing).__name__}", file=sys.stderr)  # noqa: T201


if __name__ == "__main__":
    atexit.register(tell)
    main()
