"""Roles, tokens, Host and Origin."""

import asyncio
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from pydantic import SecretStr

from service.config import Config
from service.domain.errors import NotAllowed
from service.web.contract.roles import Role
from service.web.contract.route import TABLE
from service.web.pages import FILES
from service.web.protocol import auth
from service.web.protocol.auth import Caller
from service.web.protocol.errors import NoCredentials, TooManyTries, WrongHost, WrongToken
from service.web.protocol.lockout import Lockout
from service.web.protocol.peers import THIS_MACHINE, Peer
from service.web.routes import table
from tests.builders import a_config
from tests.fakes.clock import FakeClock
from tests.unit.web.world import Client, Serve, World

CHANGE = "/api/v1/config/trading_enabled"
READ = "/api/v1/signals"
LIVE_KEYS = {
    "upbit_access_key": "access",
    "upbit_secret_key": "secret",
    "gemini_api_key": "gemini",
}
ADMIN, VIEWER = "may-change-anything", "may-look-at-all-of-it"
ROWS = tuple(table().values())
PUBLIC = sorted(row.path for row in ROWS if row.role is Role.ANONYMOUS)
TOKENS = {"admin_token": ADMIN, "viewer_token": VIEWER}
BEHIND_A_PROXY = {"X-Forwarded-For": "192.0.2.7"}


def admit(request: web.Request, config: Config) -> Caller:
    return auth.admit(request, config, Lockout(FakeClock().monotonic))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def asked(
    path: str = READ, *, method: str = "GET", remote: str = "127.0.0.1", **headers: str
) -> web.Request:
    app = web.Application()
    own = {"Host": "localhost:8080"}
    request = make_mocked_request(method, path, headers=own | headers, app=app)
    found = [row for row in ROWS if (row.method, row.path) == (method, path)]
    app[TABLE] = dict(zip([request.match_info.handler], found, strict=False))
    return request.clone(remote=remote)


async def change(client: Client, **headers: str) -> int:
    answer = await client.patch(CHANGE, json={"value": True}, headers=headers)
    return answer.status


# --- who may do what --------------------------------------------------------------------------


async def test_in_the_sandbox_a_bare_request_of_this_machine_may_change(client: Client) -> None:
    assert await change(client) == 200


@pytest.mark.parametrize("tokens", [{}, TOKENS])
@pytest.mark.parametrize("mode", [{"mode": "paper"}, {"mode": "live", **LIVE_KEYS}])
async def test_outside_the_sandbox_a_bare_request_of_this_machine_is_nobody(
    world: World, serve: Serve, mode: dict[str, str], tokens: dict[str, str]
) -> None:
    """Behind a TCP forwarder, or a proxy that adds no header, every peer looks local."""
    world.config = a_config(**mode, **tokens)
    client = await serve(world)

    looked = {(await client.get(path)).status for path in (READ, "/metrics", "/api/v1/config")}
    changed = await client.patch(CHANGE, json={"value": True})

    assert (looked, changed.status) == ({401}, 401)
    assert "TRADER_ADMIN_TOKEN" in (await changed.json())["detail"]
    assert changed.headers["WWW-Authenticate"].startswith("Bearer")
    assert world.setting_rows.history == []


@pytest.mark.parametrize("mode", ["sandbox", "paper"])
async def test_a_proxy_on_this_machine_does_not_make_its_callers_local(
    world: World, serve: Serve, mode: str
) -> None:
    world.config = a_config(mode=mode)
    client = await serve(world)

    looked = await client.get(READ, headers=BEHIND_A_PROXY)

    assert looked.status == 401
    assert await change(client, **BEHIND_A_PROXY) == 401


@pytest.mark.parametrize("secret", ["admin_token", "viewer_token", "password"])
async def test_once_a_secret_is_set_a_bare_request_is_nobody(
    world: World, serve: Serve, secret: str
) -> None:
    world.config = a_config(**{secret: "something-long-enough"})
    client = await serve(world)

    looked = await client.get(READ)

    assert looked.status == 401
    assert await change(client) == 401


async def test_tokens_decide_who_looks_and_who_changes(world: World, serve: Serve) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)

    statuses = {
        token: (
            (await client.get(READ, headers=bearer(token))).status,
            await change(client, **bearer(token)),
        )
        for token in (VIEWER, ADMIN, "wrong")
    }

    assert statuses == {VIEWER: (200, 403), ADMIN: (200, 200), "wrong": (401, 401)}
    assert world.setting_rows.history[0].changed_by == "admin@127.0.0.1"


@pytest.mark.parametrize(
    "given",
    [
        "Bearer",
        "Bearer ",
        ADMIN,
        "Basic bWF5LWNoYW5nZQ==",
        f"Bearer {ADMIN} x",
        "Bearer é",
    ],
)
async def test_what_is_no_bearer_token_is_refused(given: str) -> None:
    with pytest.raises(NoCredentials):
        admit(asked(Authorization=given), a_config(**TOKENS))


async def test_a_token_where_none_is_set_is_wrong_not_ignored() -> None:
    with pytest.raises(NoCredentials):
        admit(asked(**bearer("anything")), a_config())


@pytest.mark.parametrize("given", ["", "Bearer", "Bearer ", "Basic bWF5LWNoYW5nZQ=="])
async def test_an_empty_token_is_refused_where_none_is_needed_and_the_answer_says_why(
    given: str,
) -> None:
    """A shell without the variable sends it; it must not act as the admin that it did not name."""
    assert admit(asked(), a_config()).role is Role.ADMIN

    with pytest.raises(NoCredentials, match="leave the header out"):
        admit(asked(Authorization=given), a_config())


async def test_an_empty_token_in_the_configuration_lets_nobody_in() -> None:
    # Config refuses it; the comparison must not depend on that.
    config = a_config(viewer_token=VIEWER).model_copy(update={"admin_token": SecretStr("")})

    with pytest.raises(NoCredentials):
        admit(asked(Authorization="Bearer "), config)


def test_no_token_equals_an_empty_secret_even_where_the_header_is_not_parsed_first() -> None:
    assert not auth._same(b"", SecretStr(""))
    assert not auth._same(b"", None)


async def test_a_caller_of_another_machine_is_nobody_without_a_token() -> None:
    config = a_config(host="0.0.0.0", **TOKENS)

    with pytest.raises(NoCredentials):
        admit(asked(remote="192.0.2.7"), config)
    caller = admit(asked(remote="192.0.2.7", **bearer(VIEWER)), config)

    assert (caller.role, caller.name) == (Role.VIEWER, "viewer@192.0.2.7")


async def test_a_viewer_is_told_that_changes_need_another_token() -> None:
    with pytest.raises(NotAllowed, match="TRADER_ADMIN_TOKEN"):
        admit(asked(CHANGE, method="PATCH", **bearer(VIEWER)), a_config(**TOKENS))


@pytest.mark.parametrize("path", PUBLIC)
async def test_the_page_and_health_are_for_everybody(world: World, serve: Serve, path: str) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)

    answer = await client.get(path, headers=BEHIND_A_PROXY)

    assert answer.status == 200


def test_what_is_public_has_no_data_of_the_account() -> None:
    """Another path of this list would be read by callers without a token."""
    health = {"/health", "/health/ready", "/health/detailed"}

    assert set(PUBLIC) == health | {path for path, *_ in FILES}


async def test_a_public_address_is_public_for_reading_only(world: World, serve: Serve) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)

    answer = await client.post("/health/ready")

    assert answer.status == 401


async def test_a_stranger_cannot_tell_which_addresses_exist(world: World, serve: Serve) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)

    statuses = {(await client.get(path)).status for path in (READ, "/api/v1/nothing", "/x")}

    assert statuses == {401}


# --- Host: DNS rebinding ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.9.9.9", "[::1]:8080", "[::1]"]
)
async def test_names_of_this_machine_are_answered(client: Client, host: str) -> None:
    answer = await client.get(READ, headers={"Host": host})

    assert answer.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "localhost:8080:1",
        "localhost:x",
        "[::1",
        "[evil]",
        "192.0.2.7",
        "0.0.0.0",
    ],
)
async def test_other_names_are_not_ours(client: Client, host: str) -> None:
    answer = await client.get(READ, headers={"Host": host})

    assert answer.status == 421
    assert (await answer.json())["type"].endswith(":wrong-host")


@pytest.mark.parametrize(
    ("bound", "remote", "host", "answered"),
    [
        ("192.0.2.1", "192.0.2.7", "192.0.2.1:8080", True),
        ("192.0.2.1", "192.0.2.7", "evil.example", False),
        ("trader.lan", "192.0.2.7", "TRADER.lan:8080", True),
        ("0.0.0.0", "192.0.2.7", "trader:8080", True),
        ("::", "2001:db8::7", "trader", True),
        # From this machine a bare request may have power, so a rebound name must not reach it.
        ("0.0.0.0", "127.0.0.1", "evil.example", False),
    ],
)
async def test_which_names_are_ours_depends_on_where_we_are_bound(
    bound: str, remote: str, host: str, answered: bool
) -> None:
    request = asked("/health/ready", remote=remote, Host=host)

    try:
        admit(request, a_config(host=bound))
    except WrongHost:
        assert not answered
    else:
        assert answered


# --- Origin and Sec-Fetch-Site: another site's page --------------------------------------------


async def test_our_own_page_may_change(client: Client) -> None:
    own = f"http://127.0.0.1:{client.port}"

    assert await change(client, Origin=own, **{"Sec-Fetch-Site": "same-origin"}) == 200
    assert await change(client, **{"Sec-Fetch-Site": "none"}) == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": ""},
    ],
)
async def test_a_page_of_another_origin_may_not_change_anything(
    client: Client, world: World, headers: dict[str, str]
) -> None:
    answer = await client.patch(CHANGE, json={"value": True}, headers=headers)

    assert answer.status == 403
    assert (await answer.json())["type"].endswith(":cross-site")
    assert world.setting_rows.history == []


async def test_a_good_token_does_not_excuse_a_foreign_origin(world: World, serve: Serve) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)

    status = await change(client, Origin="https://evil.example", **bearer(ADMIN))

    assert status == 403


# --- wrong tokens: tried, slowed down, locked out ------------------------------------------------


async def test_the_sixth_wrong_token_is_told_to_wait_and_so_is_the_right_one(
    world: World, serve: Serve
) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)
    wrong = BEHIND_A_PROXY | bearer("a-guess")
    for _ in range(5):
        assert (await client.get(READ, headers=wrong)).status == 401

    sixth = await client.get(READ, headers=wrong)
    problem = await sixth.json()
    right = await client.get(READ, headers=BEHIND_A_PROXY | bearer(ADMIN))
    world.real_clock.pass_time(60)
    later = await client.get(READ, headers=BEHIND_A_PROXY | bearer(ADMIN))

    assert sixth.status == right.status == 429
    assert 0 < int(sixth.headers["Retry-After"]) <= 60
    assert sixth.content_type == "application/problem+json"
    assert problem["type"] == "urn:trader:problem:too-many-tries"
    assert later.status == 200


async def test_whatever_comes_through_a_proxy_of_this_machine_does_not_lock_out_its_own_callers(
    world: World, serve: Serve
) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)
    for number in range(30):
        headers = {"X-Forwarded-For": f"192.0.2.{number}"} | bearer("a-guess")
        await client.get(READ, headers=headers)
        await client.get(READ, headers=bearer("a-guess"))

    proxied = await client.get(READ, headers={"X-Real-IP": "203.0.113.9"} | bearer(ADMIN))

    assert await change(client, **bearer(ADMIN)) == 200
    assert proxied.status == 429  # the address in the header is not believed


async def test_the_answer_to_a_wrong_token_is_held_back_and_to_a_right_one_not(
    world: World, serve: Serve
) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)

    for token in ("a-guess", "another", ADMIN, VIEWER):
        await client.get(READ, headers=bearer(token))

    assert world.real_clock.waits == pytest.approx([0.1, 0.2])


async def test_a_locked_connection_is_not_read_for_a_while(world: World, serve: Serve) -> None:
    world.config = a_config(**TOKENS)
    client = await serve(world)
    for _ in range(5):
        await client.get(READ, headers=BEHIND_A_PROXY | bearer("a-guess"))

    answer = await client.get(READ, headers=BEHIND_A_PROXY | bearer("a-guess"))

    server = client.server.handler
    assert server is not None
    (transport,) = [connection.transport for connection in server.connections]
    assert isinstance(transport, asyncio.ReadTransport)
    assert answer.status == 429
    assert not transport.is_reading()


def test_each_remote_address_is_locked_alone_and_a_request_without_a_token_never() -> None:
    config, lockout = a_config(host="0.0.0.0", **TOKENS), Lockout(FakeClock().monotonic)

    def tried(remote: str, path: str = READ, **headers: str) -> type[Exception] | None:
        try:
            auth.admit(asked(path, remote=remote, **headers), config, lockout)
        except NotAllowed as exc:
            return type(exc)
        return None

    guesses = [tried("192.0.2.7", **bearer("a-guess")) for _ in range(6)]

    assert (set(guesses[:5]), guesses[5]) == ({WrongToken}, TooManyTries)
    assert tried("192.0.2.7", **bearer(ADMIN)) is TooManyTries
    assert tried("192.0.2.8", **bearer(ADMIN)) is None
    assert tried("127.0.0.1", **bearer(ADMIN)) is None
    assert tried("192.0.2.7", "/health/detailed") is None
    assert tried("192.0.2.7") is NoCredentials


def test_what_is_no_token_at_all_is_not_counted() -> None:
    lockout = Lockout(FakeClock().monotonic)
    for given in ("", "Bearer", "Basic bWF5LWNoYW5nZQ=="):
        with pytest.raises(NoCredentials):
            auth.admit(asked(Authorization=given), a_config(**TOKENS), lockout)

    assert lockout.remembered == 0


# --- the head of a request that found no room -----------------------------------------------------


def from_admin(
    *fields: str, peer: Peer = THIS_MACHINE, lockout: Lockout | None = None, **config: Any
) -> bool:
    head = "\r\n".join(["PATCH /api/v1/config HTTP/1.1", "Host: localhost", *fields, ""]).encode()
    return auth.is_from_admin(
        head,
        peer,
        config=a_config(**{"mode": "paper", **TOKENS, **config}),
        lockout=lockout or Lockout(FakeClock().monotonic),
    )


REMOTE = Peer("192.0.2.7", is_local=False)
OPEN: dict[str, Any] = {"mode": "sandbox", "admin_token": None, "viewer_token": None}


@pytest.mark.parametrize("peer", [THIS_MACHINE, REMOTE])
@pytest.mark.parametrize(
    ("fields", "is_admins"),
    [
        ([f"Authorization: Bearer {ADMIN}"], True),
        ([f"authorization:bearer {ADMIN} "], True),
        ([f"AUTHORIZATION: Bearer {ADMIN}", "X-Forwarded-For: 192.0.2.9"], True),
        ([f"Authorization: Bearer {VIEWER}"], False),
        (["Authorization: Bearer a-guess"], False),
        ([f"Authorization: Bearer {ADMIN}x"], False),
        ([f"Authorization: {ADMIN}"], False),
        ([f"Authorization: Bearer {ADMIN}", "Authorization: Bearer a-guess"], False),
        ([f"X-Authorization: Bearer {ADMIN}"], False),
        ([f"Cookie: x Authorization: Bearer {ADMIN}"], False),
        (["Authorization: Bearer \xe9"], False),
        ([], False),
    ],
)
def test_only_the_admins_token_gets_a_place_of_the_admins(
    peer: Peer, fields: list[str], is_admins: bool
) -> None:
    assert from_admin(*fields, peer=peer) is is_admins


@pytest.mark.parametrize(
    ("fields", "peer", "config", "is_admins"),
    [
        ([], THIS_MACHINE, OPEN, True),
        ([], REMOTE, OPEN, False),
        (["X-Forwarded-For: 192.0.2.9"], THIS_MACHINE, OPEN, False),
        (["forwarded: for=192.0.2.9"], THIS_MACHINE, OPEN, False),
        ([], THIS_MACHINE, OPEN | {"viewer_token": VIEWER}, False),
        (["Authorization: Bearer "], THIS_MACHINE, OPEN, False),
    ],
)
def test_in_a_sandbox_without_a_token_this_machine_is_the_admin_there_too(
    fields: list[str], peer: Peer, config: dict[str, Any], is_admins: bool
) -> None:
    assert from_admin(*fields, peer=peer, **config) is is_admins


def test_a_wrong_token_counts_there_too() -> None:
    lockout = Lockout(FakeClock().monotonic)
    proxied = [f"Authorization: Bearer {ADMIN}", "X-Real-IP: 192.0.2.9"]
    for _ in range(5):
        from_admin("Authorization: Bearer a-guess", peer=REMOTE, lockout=lockout)
        from_admin("Authorization: Bearer a-guess", "X-Real-IP: 192.0.2.9", lockout=lockout)

    assert not from_admin(f"Authorization: Bearer {ADMIN}", peer=REMOTE, lockout=lockout)
    assert not from_admin(*proxied, lockout=lockout)
    assert from_admin(f"Authorization: Bearer {ADMIN}", lockout=lockout)
    with pytest.raises(TooManyTries):
        lockout.check(REMOTE)
