"""Connection strings: parsed, used to connect, and explained in errors without a password."""

from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

import psycopg2
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so
from psycopg2.extensions import make_dsn, parse_dsn

from service.domain.errors import StartError

CONNECT_S: Final = 5
_APPLICATION: Final = "upbit-ai-trader"
REMEDY: Final = "set DATABASE_URL, or leave it empty for the database that comes with us"

#: A dead peer on TCP is noticed in about ten seconds; ignored on unix sockets.
_KEEPALIVE: Final = {
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}

#: (text in the server's or libpq's message, remedy for the operator); the first match counts.
_REMEDIES: Final = (
    ("password authentication failed", "check the user and the password in DATABASE_URL"),
    ("no password supplied", "put the password into DATABASE_URL"),
    ("too many", "raise the limit of connections, or stop other clients"),
    ("connection slots", "raise max_connections, or stop other clients"),
    ("role ", "create the role, or name another user in DATABASE_URL"),
    ("database ", "create the database, or name another one in DATABASE_URL"),
    ("pg_hba.conf", "allow this machine and user in the server's pg_hba.conf"),
    ("unsupported startup parameter", "DATABASE_URL must name the server itself, not a pooler"),
    ("could not translate host name", "check the host name in DATABASE_URL"),
    ("SSL", "check sslmode and the certificates in DATABASE_URL"),
)


def url(*, host: str, port: int, user: str, database: str) -> str:
    """Return a libpq URL; `host` may be the directory of a unix socket."""
    host, user, database = (quote(part, safe="") for part in (host, user, database))
    return f"postgresql://{user}@/{database}?host={host}&port={port}"


def parameters(dsn: str) -> dict[str, str]:
    """Return libpq's parameters. Raises: StartError, when `dsn` is malformed."""
    try:
        parsed: dict[str, str] = parse_dsn(dsn)
    except psycopg2.Error:
        parsed = {"port": "?"}
    ports = parsed.get("port", "").split(",")
    if any(port and not port.isdecimal() for port in ports):
        # libpq's message quotes the malformed part, which may be the password: in
        # postgresql://user:password/name the password is read as a port.
        raise StartError(
            "The database address is malformed: write it like"
            " postgresql://user:password@127.0.0.1:5432/name, and percent-encode"
            " what is special in the password"
        ) from None
    return parsed


def named(given: Mapping[str, str]) -> str:
    """Return the database's name for messages to the operator, without secrets."""
    host = given.get("host") or given.get("hostaddr") or "the local socket"
    port = given.get("port", "5432")
    return f"PostgreSQL at {host} port {port}, database {given.get('dbname', '(default)')}"


def refusal(exc: Exception, given: Mapping[str, str]) -> StartError:
    """Return the error for a connection that could not be opened."""
    words = str(exc).strip()
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    said = lines[0] if lines else type(exc).__name__
    for marker in ("FATAL:", "failed:", "error:"):
        said = said.rpartition(marker)[2].strip() or said
    if password := given.get("password"):
        said = said.replace(password, "***")
        words = words.replace(password, "")
    remedy = next((text for sign, text in _REMEDIES if sign in words), None)
    remedy = remedy or f"check that it runs and can be reached, or {REMEDY}"
    return StartError(f"{named(given)} cannot be used ({said}): {remedy}")


#: Override the address and the server: every statement relies on them (docs/database.md). An order
#: is sent once its row is committed. With `synchronous_commit=off` a crash of the server may lose
#: that row afterwards, and the exchange holds an order that has none.
_FIXED: Final = {
    "default_transaction_isolation": "read committed",
    "synchronous_commit": "on",
}


def session_options(given: Mapping[str, str], settings: Mapping[str, str]) -> str:
    """Return libpq's parameter `options`: `settings`, then those in `given`, then the fixed ones.

    Of one name the last counts. All of them override the server's settings for the role, the
    database and the whole server.
    """
    parts = (_options(settings), given.get("options", ""), _options(_FIXED))
    return " ".join(filter(None, parts))


def _options(settings: Mapping[str, str]) -> str:
    return " ".join(f"-c {name}={_escaped(value)}" for name, value in settings.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def connect(
    given: Mapping[str, str],
    settings: Mapping[str, str] | None = None,
    *,
    timeout_s: int = CONNECT_S,
) -> Connection:
    """Open one blocking connection in autocommit; for threads and start-up only.

    Raises: StartError.
    """
    options = session_options(given, settings or {"timezone": "UTC"})
    asked = {**libpq_parameters(given), "options": options, "connect_timeout": str(timeout_s)}
    try:
        connection = psycopg2.connect(make_dsn(**asked))
    except (psycopg2.Error, OSError) as exc:
        raise refusal(exc, given) from None
    connection.autocommit = True
    return connection


def libpq_parameters(given: Mapping[str, str]) -> dict[str, str]:
    """Return `given` with the parameters that every connection gets."""
    return {"application_name": _APPLICATION, **_KEEPALIVE, **given, "client_encoding": "UTF8"}
