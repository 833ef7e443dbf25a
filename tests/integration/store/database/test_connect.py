"""DATABASE_URL: any address libpq understands, or one clear sentence without the password."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from psycopg2.extensions import connection as Connection  # noqa: N812 - psycopg2 names it so
from psycopg2.extensions import parse_dsn

from service.domain.errors import StartError
from service.store.database.connect import check_server, connected_route
from service.store.database.dsn import connect, parameters, url
from service.store.database.pool import open_pool
from service.store.embedded.server import EmbeddedPostgres

PASSWORD = "ca@na:ry/%"
QUOTED = "ca%40na%3Ary%2F%25"


@pytest.fixture(scope="module")
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def remote(port: int, open_folder: Callable[[], Path]) -> Iterator[EmbeddedPostgres]:
    """A server as an operator has it: on TCP, with a password."""
    folder = open_folder()
    rules = folder / "rules"
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
    settings = {"listen_addresses": "127.0.0.1", "hba_file": str(rules), "fsync": "off"}
    server = EmbeddedPostgres(folder, settings=settings | {"port": str(port)})
    server.start()
    given = {**parameters(server.dsn("postgres")), "port": str(port)}
    with closing(connect(given)) as admin, admin.cursor() as cursor:
        cursor.execute("CREATE ROLE operator LOGIN PASSWORD %(word)s", {"word": PASSWORD})
        cursor.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    yield server
    server.stop()


async def refused(dsn: str, *, minsize: int = 1) -> str:
    with pytest.raises(StartError) as stopped:
        async with open_pool(dsn, minsize=minsize):
            pass
    sentence = str(stopped.value)
    assert stopped.value.__cause__ is None
    assert not any(word in sentence for word in (PASSWORD, QUOTED, "canary"))
    assert "\n" not in sentence
    return sentence


async def test_a_server_on_tcp_with_a_password(remote: EmbeddedPostgres, port: int) -> None:
    dsn = f"postgresql://operator:{QUOTED}@127.0.0.1:{port}/postgres"

    async with open_pool(dsn, minsize=2) as pool:
        await pool.ping()

        assert pool.state().size == 2


async def test_an_address_that_refuses_does_not_hide_the_next(
    remote: EmbeddedPostgres, port: int
) -> None:
    # A second attempt on an asynchronous connection hangs in aiopg until its timeout.
    dsn = f"postgresql://operator:{QUOTED}@127.0.0.1:1,127.0.0.1:{port}/postgres"

    async with open_pool(dsn, minsize=2) as pool:
        await pool.ping()


async def test_the_way_is_written_down_so_that_no_second_attempt_is_needed(
    remote: EmbeddedPostgres, port: int
) -> None:
    route = await connected_route(f"postgresql://operator:{QUOTED}@localhost:{port}/postgres")

    found = parse_dsn(route.dsn)
    assert (found["sslmode"], found["gssencmode"]) == ("disable", "disable")
    assert PASSWORD not in repr(route)


async def test_a_wrong_password_is_said(remote: EmbeddedPostgres, port: int) -> None:
    sentence = await refused(f"postgresql://operator:canary@127.0.0.1:{port}/postgres")

    assert f"PostgreSQL at 127.0.0.1 port {port}, database postgres cannot be used" in sentence
    assert "check the user and the password in DATABASE_URL" in sentence


async def test_a_missing_password_is_said(remote: EmbeddedPostgres, port: int) -> None:
    sentence = await refused(f"postgresql://operator@127.0.0.1:{port}/postgres")

    assert "put the password into DATABASE_URL" in sentence


async def test_an_unknown_database_is_said(remote: EmbeddedPostgres, port: int) -> None:
    sentence = await refused(f"postgresql://operator:{QUOTED}@127.0.0.1:{port}/nowhere")

    assert 'database "nowhere" does not exist' in sentence
    assert "create the database" in sentence


async def test_a_database_that_cannot_hold_all_text_is_refused(
    remote: EmbeddedPostgres, port: int
) -> None:
    sentence = await refused(f"postgresql://operator:{QUOTED}@127.0.0.1:{port}/latin")

    assert "stores text as LATIN1: create the database with ENCODING 'UTF8'" in sentence


async def test_a_closed_port_is_said() -> None:
    sentence = await refused(f"postgresql://operator:{QUOTED}@127.0.0.1:1/trader")

    assert "(Connection refused): check that it runs and can be reached" in sentence


async def test_an_unknown_host_is_said() -> None:
    sentence = await refused(f"postgresql://operator:{QUOTED}@no-such-host.invalid/trader")

    assert "check the host name in DATABASE_URL" in sentence


@pytest.mark.parametrize("dsn", ["postgresql://operator:%ZZcanary@h/x", "postgresql://h:canary/x"])
async def test_a_malformed_address_is_said(dsn: str) -> None:
    assert "address is malformed: write it like postgresql://" in await refused(dsn)


async def test_fewer_connections_than_needed_are_said_and_the_others_closed(
    remote: EmbeddedPostgres, port: int
) -> None:
    given = {**parameters(remote.dsn("postgres")), "port": str(port)}
    with closing(connect(given)) as admin, admin.cursor() as cursor:
        cursor.execute("ALTER ROLE operator CONNECTION LIMIT 3")

        sentence = await refused(
            f"postgresql://operator:{QUOTED}@127.0.0.1:{port}/postgres", minsize=10
        )
        cursor.execute("ALTER ROLE operator CONNECTION LIMIT -1")

    assert "raise the limit of connections" in sentence


async def test_a_time_zone_from_outside_is_refused(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "Asia/Seoul")

    assert "unset the variable PGTZ" in await refused(dsn)


def test_an_address_survives_odd_names() -> None:
    given = parameters(url(host="/a b/#1?", port=5432, user="o'r", database="한 글/&"))

    assert given == {"host": "/a b/#1?", "port": "5432", "user": "o'r", "dbname": "한 글/&"}


class OldServer:
    """What the check asks of a connection, answered as PostgreSQL 13 would."""

    server_version = 130_012


def test_a_server_that_is_too_old_is_refused() -> None:
    with pytest.raises(StartError, match="is version 13, but 14 or newer is needed: upgrade"):
        check_server(cast(Connection, OldServer()), {"host": "db"})
