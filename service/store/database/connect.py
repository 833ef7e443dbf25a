"""Find the address of the server that answers, and check that the server is usable."""

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Final

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so
from psycopg2.extensions import make_dsn

from service.domain.errors import StartError
from service.store.database.dsn import (
    REMEDY,
    connect,
    libpq_parameters,
    named,
    parameters,
    session_options,
)

OLDEST: Final = 14  #: major version; client_connection_check_interval is new in it

#: Set in every session; the DSN's own `options` come later and override it.
_SESSION: Final = {
    "timezone": "UTC",
    "statement_timeout": "10s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "30s",
    "jit": "off",
}
#: Where the server's platform supports it: the query of a lost client stops using the CPU.
_CHECK_INTERVAL: Final = {"client_connection_check_interval": "2s"}


@dataclass(frozen=True, slots=True)
class Route:
    """Connection parameters of one address that answered, for asynchronous connections."""

    given: Mapping[str, str] = field(repr=False)
    dsn: str = field(repr=False)


async def connected_route(dsn: str) -> Route:
    """Connect once to an address of `dsn`, and check that the server is usable.

    libpq makes a second attempt for a second address, or when the server refuses TLS. Then aiopg
    keeps watching the first, closed socket and hangs. So a blocking connection is opened first, in
    a thread, and its choices become the parameters of the asynchronous ones.

    Raises: StartError.
    """
    given = parameters(dsn)
    return await asyncio.to_thread(_probe, given)


def _probe(given: Mapping[str, str]) -> Route:
    with closing(connect(given, _SESSION)) as connection:
        check_server(connection, given)
        settings = dict(_SESSION)
        if _accepts(connection, _CHECK_INTERVAL):
            settings |= _CHECK_INTERVAL
        chosen = dict(_chosen(connection, given))
    reached = {
        **libpq_parameters(given),
        **chosen,
        "options": session_options(given, settings),
    }
    return Route(given, make_dsn(**reached))


def _chosen(connection: Connection, given: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    info = connection.info
    yield "host", info.host
    yield "port", str(info.port)
    with socket.socket(fileno=os.dup(connection.fileno())) as peer:
        if peer.family == socket.AF_UNIX:
            return
        # A single address is not pinned: a managed server's name may move after a failover.
        if "hostaddr" in given or len(_addresses(info.host, info.port)) > 1:
            yield "hostaddr", peer.getpeername()[0]
    yield "gssencmode", "disable"
    if given.get("sslmode", "prefer") in {"allow", "prefer"}:
        yield "sslmode", "require" if info.ssl_in_use else "disable"


def _addresses(host: str, port: int) -> set[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError:
        return set()
    return {str(address[0]) for *_, address in found}


def check_server(connection: Connection, given: Mapping[str, str]) -> None:
    """Raises: StartError, when the server is too old, or its encoding or time zone is wrong."""
    major = connection.server_version // 10_000
    if major < OLDEST:
        raise StartError(
            f"{named(given)} is version {major}, but {OLDEST} or newer is needed:"
            f" upgrade the server, or {REMEDY}"
        )
    encoding = connection.get_parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StartError(
            f"{named(given)} stores text as {encoding}: create the database with ENCODING 'UTF8'"
        )
    if (zone := connection.get_parameter_status("TimeZone")) != "UTC":
        # libpq sends PGTZ after `options`, so PGTZ overrides it and shifts instants shown as text.
        raise StartError(f"The session's time zone is {zone}, not UTC: unset the variable PGTZ")


def _accepts(connection: Connection, settings: Mapping[str, str]) -> bool:
    try:
        with connection.cursor() as cursor:
            for name, value in settings.items():
                cursor.execute("SELECT set_config(%s, %s, false)", (name, value))
    except psycopg2.Error:
        return False
    return True
