"""Keeps aiopg from reporting, as an unhandled error, what it raises all the same."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from psycopg2.extensions import QueryCanceledError


@contextmanager
def timeouts_expected() -> Iterator[None]:
    """Leave cancelled statements out of the event loop's error reports while the block lasts.

    For each of them aiopg 1.4 calls the loop's exception handler, which logs an error with a
    traceback, and raises as well. The caller hears StoreTimeout; once is enough.
    """
    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()

    def report(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if isinstance(context.get("exception"), QueryCanceledError):
            return
        if before is not None:
            before(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(report)
    try:
        yield
    finally:
        # Whoever came after us keeps what they set.
        if loop.get_exception_handler() is report:
            loop.set_exception_handler(before)
