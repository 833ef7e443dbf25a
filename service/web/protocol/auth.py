"""Authentication, roles, and protection against cross-site requests and DNS rebinding."""

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache
from hmac import compare_digest
from typing import Final

from aiohttp import hdrs, web
from multidict import istr
from pydantic import SecretStr

from service.config import Config, Mode, is_loopback
from service.domain.errors import NotAllowed
from service.web.contract.roles import READING, Role
from service.web.contract.route import role_needed, route_of
from service.web.protocol.errors import (
    CrossSite,
    NoCredentials,
    TooManyTries,
    WrongHost,
    WrongToken,
)
from service.web.protocol.lockout import Lockout
from service.web.protocol.peers import LOCAL_PROXY, Peer, peer_of

_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_LONGEST_AUTHORITY: Final = 300
#: Behind a proxy on this machine every peer looks local. These headers never give trust, they
#: only remove the trust of a local address.
_FORWARDED: Final = (hdrs.FORWARDED, hdrs.X_FORWARDED_FOR, istr("X-Real-IP"))


@dataclass(frozen=True, slots=True)
class Caller:
    role: Role
    remote: str  #: the peer's address, never a forwarded one
    is_local: bool
    has_token: bool

    @property
    def name(self) -> str:
        """The caller's name in the audit log, e.g. admin@127.0.0.1."""
        return f"{self.role}@{self.remote}"

    @property
    def sees_details(self) -> bool:
        return self.is_local or self.role is not Role.ANONYMOUS


CALLER = web.RequestKey("caller", Caller)
LOCKOUT = web.AppKey("lockout", Lockout)


def admit(request: web.Request, config: Config, lockout: Lockout) -> Caller:
    """Return the caller, if the request is allowed.

    Raises: WrongHost, CrossSite, NoCredentials, WrongToken, TooManyTries, NotAllowed.
    """
    is_local = _is_local(request)
    _check_host(request, config, is_local=is_local)
    if request.method not in READING:
        _check_origin(request)
    caller = _caller(request, config, lockout, is_local=is_local)
    _check_role(request, caller, config.mode)
    return caller


def is_from_admin(head: bytes, peer: Peer, *, config: Config, lockout: Lockout) -> bool:
    """Return whether a request's head has an admin's rights; a wrong token in it counts.

    For a request that found no room: it gets a place of the admins' reserve, and is judged there
    by `admit` as every other.
    """
    fields = [line.partition(b":") for line in head.split(b"\r\n")[1:]]
    values = [value for name, _, value in fields if name.strip().lower() == b"authorization"]
    names = {name.strip().lower().decode("latin-1") for name, _, _ in fields}
    is_local = peer.is_local and not names & {name.lower() for name in _FORWARDED}
    if not values:
        return _bare_role(config, is_local=is_local) is Role.ADMIN
    match = _BEARER.fullmatch(values[0].decode("latin-1").strip())
    if match is None or len(values) > 1:
        return False
    asker = peer if is_local or not peer.is_local else LOCAL_PROXY
    try:
        lockout.check(asker)
    except TooManyTries:
        return False
    role = _role_of(match[1].encode("latin-1"), config)
    if role is None:
        lockout.wrong_token(asker)
    return role is Role.ADMIN


def _is_local(request: web.Request) -> bool:
    headers = request.headers
    for name in _FORWARDED:
        if name in headers:
            return False
    return request.remote is not None and is_loopback(request.remote)


def _check_host(request: web.Request, config: Config, *, is_local: bool) -> None:
    """Refuse a Host header with a foreign name: a web page may have rebound it to this address.

    Any name is allowed to a remote caller of a service that is bound to every address. Such a
    caller needs a token, and a page cannot steal a token by rebinding.
    """
    given = request.headers.get(hdrs.HOST, "")
    # A longer header is not parsed, because the parser caches its argument.
    name = _name_in(given) if len(given) <= _LONGEST_AUTHORITY else None
    if name is not None:
        if is_loopback(name) or name == config.host.lower():
            return
        if not is_local and _is_wildcard(config.host):
            return
    raise WrongHost("ask for this service as localhost, or as the TRADER_HOST it is bound to")


@lru_cache(maxsize=256)  # few names, each used often
def _name_in(authority: str) -> str | None:
    """Return the host name in a Host header, None for a malformed one."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else match[1].strip("[]").lower()


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    # `request.host` is that of the address, where a whole URL is asked for; it was not checked.
    host = request.headers.get(hdrs.HOST, "")
    if origin is not None and origin.lower() != f"{request.scheme}://{host}".lower():
        raise CrossSite("the Origin header names another site than the one asked")
    # Browsers set it, pages cannot. `same-site` is a page from another port of this machine.
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        raise CrossSite("the browser says that a page of another site asks")


def _caller(request: web.Request, config: Config, lockout: Lockout, *, is_local: bool) -> Caller:
    remote = request.remote or "unknown"
    values = request.headers.getall(hdrs.AUTHORIZATION, ())
    if not values:
        return _without_token(_bare_role(config, is_local=is_local), remote, is_local=is_local)
    if len(values) > 1:  # a proxy may judge by another one than we
        raise NoCredentials("send one Authorization header, not several")
    match = _BEARER.fullmatch(values[0].strip())
    if match is None:
        # An empty token differs from no header, also from this machine. Otherwise a script with an
        # empty variable would act with the rights of its address without a hint.
        raise NoCredentials(
            "the Authorization header holds no bearer token: put one in, or leave the header out"
        )
    peer = _peer(remote, is_local=is_local)
    lockout.check(peer)
    role = _role_of(match[1].encode("utf-8", "surrogateescape"), config)
    if role is None:
        raise WrongToken(
            "this token is not known here; see TRADER_ADMIN_TOKEN",
            hold_s=lockout.wrong_token(peer),
        )
    return Caller(role, remote, is_local=is_local, has_token=True)


def _peer(remote: str, *, is_local: bool) -> Peer:
    """Return the peer whose wrong tokens count together; forwarded addresses are not believed."""
    peer = peer_of(remote)
    return LOCAL_PROXY if peer.is_local and not is_local else peer


def _role_of(token: bytes, config: Config) -> Role | None:
    # Both are always compared, so that the time reveals nothing.
    is_admin, is_viewer = _same(token, config.admin_token), _same(token, config.viewer_token)
    if is_admin:
        return Role.ADMIN
    return Role.VIEWER if is_viewer else None


@lru_cache(maxsize=256)
def _without_token(role: Role, remote: str, *, is_local: bool) -> Caller:
    return Caller(role, remote, is_local=is_local, has_token=False)


def _bare_role(config: Config, *, is_local: bool) -> Role:
    # Behind a TCP forwarder, or a proxy that adds no header, every peer looks local. So an address
    # gives no right where money is real.
    if config.mode is not Mode.SANDBOX or not is_local:
        return Role.ANONYMOUS
    if config.admin_token or config.viewer_token or config.password:
        return Role.ANONYMOUS
    return Role.ADMIN


def _same(token: bytes, expected: SecretStr | None) -> bool:
    secret = expected.get_secret_value().encode() if expected else b""
    return bool(secret) & compare_digest(token, secret)


def _check_role(request: web.Request, caller: Caller, mode: Mode) -> None:
    if caller.role is Role.ADMIN:
        return
    route = route_of(request)
    needed = role_needed(route, request.method)
    if needed is Role.ANONYMOUS or needed is caller.role:
        return
    if needed is Role.VIEWER:
        if route and route.is_local and mode is Mode.SANDBOX and caller.is_local:
            return
        raise NoCredentials(
            "send Authorization: Bearer with the value of TRADER_VIEWER_TOKEN or"
            " TRADER_ADMIN_TOKEN, as set where the service runs"
        )
    if caller.has_token:
        raise NotAllowed("a viewer may look, not change; use the token of TRADER_ADMIN_TOKEN")
    raise NoCredentials(
        "changes need an admin: set TRADER_ADMIN_TOKEN where the service runs and send it as"
        " Authorization: Bearer"
    )
