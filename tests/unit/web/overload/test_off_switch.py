"""Trading is switched off over HTTP while one peer holds every connection it can get."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

import pytest

from service.web.overload.connection_limit import (
    SPARE_ADMIN,
    ConnectionRules,
    LimitedSite,
)
from service.web.overload.held_connections import HELD_CONNECTIONS
from service.web.overload.overflow import OverflowState
from service.web.protocol.auth import LOCKOUT, is_from_admin
from service.web.protocol.peers import THIS_MACHINE, Peer
from service.web.server import ApiRunner
from tests.builders import a_config
from tests.unit.web.world import World

LIMIT = 1_000
SAFETY_S = 30
TOKEN = "a-token-of-many-letters"
LIVE: dict[str, Any] = {
    "mode": "live",
    "upbit_access_key": "access",
    "upbit_secret_key": "secret",
    "gemini_api_key": "gemini",
    "admin_token": TOKEN,
}
HERE, ELSEWHERE = "127.0.0.1", "127.0.0.2"


def by_last_number(address: str | None) -> Peer:
    """Take 127.0.0.1 for this machine and every other address of loopback for another one."""
    assert address is not None
    return THIS_MACHINE if address == HERE else Peer(address, is_local=False)


class Site:
    def __init__(self, world: World, runner: ApiRunner, port: int) -> None:
        self.world = world
        self.port = port
        self._runner = runner

    def held(self) -> int:
        assert self._runner.server is not None
        return len(self._runner.server.connections)

    async def until_all_are_lost(self) -> None:
        assert self._runner.server is not None
        async with asyncio.timeout(SAFETY_S):
            while any(  # noqa: ASYNC110 - aiohttp has no event for it
                one.transport is not None for one in self._runner.server.connections
            ):
                await asyncio.sleep(0.001)

    async def switch_off(self, *, peer: str, token: str = TOKEN) -> int:
        """Return the status of the answer."""
        body = json.dumps({"value": False})
        reader, writer = await asyncio.open_connection(HERE, self.port, local_addr=(peer, 0))
        writer.write(
            "PATCH /api/v1/config/trading_enabled HTTP/1.1\r\nHost: localhost\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}".encode()
        )
        async with asyncio.timeout(SAFETY_S):
            told = await reader.read()
        writer.close()
        return int(told[9:12])


@asynccontextmanager
async def open_site(
    world: World, *, limit: int = LIMIT, ask_within_s: float = SAFETY_S
) -> AsyncIterator[Site]:
    """Serve the web room with the limits of production; no connection is silent for too long."""
    app = world.app()
    runner = ApiRunner(app)
    await world.lead()
    await runner.setup()
    with closing(socket.socket()) as listener:
        listener.bind((HERE, 0))
        rules = ConnectionRules(
            limit=limit,
            ask_within_s=ask_within_s,
            peer_of=by_last_number,
            is_from_admin=partial(is_from_admin, config=world.config, lockout=app[LOCKOUT]),
        )
        site = LimitedSite(
            runner,
            listener,
            backlog=128,
            overflow=OverflowState(),
            held=app[HELD_CONNECTIONS],
            rules=rules,
        )
        await site.start()
        yield Site(world, runner, listener.getsockname()[1])
        await runner.cleanup()


@asynccontextmanager
async def crowd(site: Site, *, peer: str, says: bytes) -> AsyncIterator[None]:
    """Hold a thousand connections of one peer that say nothing, or begin a request only."""
    opened = [
        await asyncio.open_connection(HERE, site.port, local_addr=(peer, 0)) for _ in range(LIMIT)
    ]
    for _, writer in opened:
        writer.write(says)
    yield
    for _, writer in opened:
        writer.close()


@pytest.mark.parametrize("says", [b"", b"GET /api/v1/con"])
@pytest.mark.parametrize(
    ("crowds", "admins", "share"),
    [
        (ELSEWHERE, HERE, LIMIT // 4),
        (ELSEWHERE, "127.0.0.3", LIMIT // 4),
        # Behind a forwarder or a proxy the admin has the address of the crowd.
        (ELSEWHERE, ELSEWHERE, LIMIT // 4),
        (HERE, HERE, LIMIT),
    ],
)
async def test_a_thousand_silent_connections_do_not_keep_the_off_switch_out(
    crowds: str, admins: str, share: int, says: bytes
) -> None:
    world = World(config=a_config(**LIVE))
    async with open_site(world) as site, crowd(site, peer=crowds, says=says):
        held = site.held()
        status = await site.switch_off(peer=admins)

    assert held == share
    assert status == 200
    assert [row.key for row in world.setting_rows.history] == ["trading_enabled"]


async def test_a_wrong_token_finds_no_place_then_and_counts() -> None:
    world = World(config=a_config(**LIVE))
    async with open_site(world) as site, crowd(site, peer=ELSEWHERE, says=b""):
        guesses = [await site.switch_off(peer=ELSEWHERE, token="a-guess") for _ in range(5)]
        locked = await site.switch_off(peer=ELSEWHERE)
        elsewhere = await site.switch_off(peer=HERE)

    assert (set(guesses), locked, elsewhere) == ({503}, 503, 200)


async def refused_within_its_body(port: int) -> asyncio.StreamWriter:
    """Return a connection whose change was refused while most of its body is still to come."""
    reader, writer = await asyncio.open_connection(HERE, port)
    writer.write(
        b"PATCH /api/v1/config HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 5000\r\n\r\n{"
    )
    async with asyncio.timeout(SAFETY_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401 ")
    return writer


async def test_callers_that_hang_up_within_a_body_do_not_keep_the_off_switch_out() -> None:
    """Each is closed for the next one; aiohttp would wait ten seconds for the rest of its body."""
    world, limit = World(config=a_config(**LIVE)), 16
    async with open_site(world, limit=limit, ask_within_s=0) as site:
        opened = [await refused_within_its_body(site.port) for _ in range(2 * limit + SPARE_ADMIN)]
        for writer in opened:
            writer.close()
        # One that is still open would be closed for the admin, who would need no spare place.
        await site.until_all_are_lost()
        status = await site.switch_off(peer=HERE)

    assert status == 200
