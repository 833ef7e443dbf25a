"""`python -m tests.crossings [CHECKOUT]`: the functions that one hot-list request crosses.

The benchmarks' product server answers it, with its log, on a seeded PostgreSQL. Counted are the
functions that the request's own task enters, each once, after the same request has warmed it up.
"""

import asyncio
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import aiohttp
from aiohttp import web

ROWS = 1_000  #: a table; more than one page of 50 orders
WARM = 3


class Crossed:
    """The functions of `service` that were entered, as (module, name)."""

    def __init__(self, service: Path) -> None:
        self._root = f"{service}/"
        self.functions: set[tuple[str, str]] = set()

    @contextmanager
    def noting(self) -> Iterator[None]:
        sys.setprofile(self._enter)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _enter(self, frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        # A comprehension is a part of its function; a lambda is a function.
        is_function = not code.co_name.startswith("<") or code.co_name == "<lambda>"
        is_ours = is_function and code.co_filename.startswith(self._root)
        if event == "call" and is_ours and _in_request():
            self.functions.add((code.co_filename.removeprefix(self._root), code.co_qualname))


def _in_request() -> bool:
    """Whether this is one of the two tasks that aiohttp has for a connection and its request."""
    task = asyncio.current_task()
    return task is not None and "RequestHandler." in repr(task.get_coro())


async def crossed(checkout: Path, dsn: str) -> set[tuple[str, str]]:
    servers: Any = importlib.import_module("benchmarks.servers")
    # The second name is that of older checkouts.
    product = getattr(servers, "product", None) or servers.house
    found = Crossed(checkout / "service")
    with servers.logging() as log:
        async with product(dsn, log) as app, aiohttp.ClientSession() as client:
            runner = web.AppRunner(app, access_log=None)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            address = f"http://127.0.0.1:{runner.addresses[0][1]}{servers.HOT_LIST}"

            async def ask() -> None:
                async with client.get(address) as answer:
                    body = await answer.json()
                    assert (answer.status, len(body["items"])) == (200, 50), body

            for _ in range(WARM):
                await ask()
            with found.noting():
                await ask()
            await runner.cleanup()
    return found.functions


def main(checkout: Path) -> None:
    sys.path.insert(0, str(checkout))
    module: Any = importlib.import_module("benchmarks.databases")
    with module.Databases.open() as databases:
        seeded = getattr(databases, "seeded", None) or databases.grown
        functions = asyncio.run(crossed(checkout, seeded(ROWS)))
    for module, name in sorted(functions):
        sys.stdout.write(f"{module:<40} {name}\n")
    modules = {module for module, _ in functions}
    sys.stdout.write(f"{len(functions)} functions in {len(modules)} modules\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else Path(__file__).parents[1])
