"""Who asks, what they may do, and whether a browser was tricked into asking."""

import ipaddress
import re
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from hmac import compare_digest
from typing import Final

from aiohttp import hdrs, web
from multidict import istr
from pydantic import SecretStr

from service.config import Config, Mode, is_loopback
from service.domain.errors import NotAllowed
from service.web.protocol.errors import CrossSite, NoCredentials, WrongHost

READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
#: Answered to anybody: they hold nothing of the account. Health shows statuses only.
PUBLIC: Final = frozenset(
    {"/health", "/health/ready", "/health/detailed", "/", "/page.css", "/page.js", "/icon.svg"}
)
#: Answered to this machine without a token: counters, for a scraper that runs beside us.
LOCAL: Final = frozenset({"/metrics"})
_BEARER: Final = re.compile(r"bearer +(\S+)", re.IGNORECASE)
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")
_LONGEST_AUTHORITY: Final = 300
#: A proxy on this machine makes the whole world look local. These headers never give
#: trust, they only take away what a local address would have given.
_FORWARDED: Final = (hdrs.FORWARDED, hdrs.X_FORWARDED_FOR, istr("X-Real-IP"))


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    VIEWER = "viewer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Caller:
    role: Role
    remote: str  #: the peer's address, never a forwarded one
    is_local: bool
    has_token: bool

    @property
    def name(self) -> str:
        """Who is written down next to a change, e.g. admin@127.0.0.1."""
        return f"{self.role}@{self.remote}"

    @property
    def sees_details(self) -> bool:
        return self.is_local or self.role is not Role.ANONYMOUS


CALLER = web.RequestKey("caller", Caller)


def admit(request: web.Request, config: Config) -> Caller:
    """Return who asks, when they may ask this.

    Raises: WrongHost, CrossSite, NoCredentials, NotAllowed.
    """
    is_local = _is_local(request)
    _check_host(request, config, is_local=is_local)
    if request.method not in READING:
        _check_origin(request)
    caller = _caller(request, config, is_local=is_local)
    _check_role(request, caller)
    return caller


def _is_local(request: web.Request) -> bool:
    headers = request.headers
    for name in _FORWARDED:
        if name in headers:
            return False
    return request.remote is not None and is_loopback(request.remote)


def _check_host(request: web.Request, config: Config, *, is_local: bool) -> None:
    """Refuse names that are not ours: a page whose name was rebound to this address.

    A caller from another machine of a service bound to every address has no power without a
    token, which no page can steal by rebinding; only there any name will do.
    """
    given = request.headers.get(hdrs.HOST, "")
    # Not even looked at: what is looked at is remembered.
    name = _name_in(given) if len(given) <= _LONGEST_AUTHORITY else None
    if name is not None:
        if is_loopback(name) or name == config.host.lower():
            return
        if not is_local and _is_wildcard(config.host):
            return
    raise WrongHost("ask for this service as localhost, or as the TRADER_HOST it is bound to")


@lru_cache(maxsize=256)  # few callers, who ask often
def _name_in(authority: str) -> str | None:
    """Return the name that a Host header asks for, None for what is no such header."""
    match = _AUTHORITY.fullmatch(authority)
    return None if match is None else match[1].strip("[]").lower()


def _is_wildcard(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _check_origin(request: web.Request) -> None:
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is not None and origin.lower() != f"{request.scheme}://{request.host}".lower():
        raise CrossSite("the Origin header names another site than the one asked")
    # Browsers set it, pages cannot. `same-site` is another port of this machine: not us.
    if request.headers.get("Sec-Fetch-Site", "none") not in {"same-origin", "none"}:
        raise CrossSite("the browser says that a page of another site asks")


def _caller(request: web.Request, config: Config, *, is_local: bool) -> Caller:
    remote = request.remote or "unknown"
    given = request.headers.get(hdrs.AUTHORIZATION)
    if given is None:
        return _without_token(_bare_role(config, is_local=is_local), remote, is_local=is_local)
    match = _BEARER.fullmatch(given.strip())
    if match is None:
        # Not the same as no header, not even from this machine: a script whose variable is empty
        # would otherwise act with the rights of its address and never learn that it sent no token.
        raise NoCredentials(
            "the Authorization header holds no bearer token: put one in, or leave the header out"
        )
    token = match[1].encode("utf-8", "surrogateescape")
    # Both are compared whatever the first says: the time tells nothing.
    is_admin, is_viewer = _same(token, config.admin_token), _same(token, config.viewer_token)
    if not (is_admin or is_viewer):
        raise NoCredentials("this token is not known here; see TRADER_ADMIN_TOKEN")
    role = Role.ADMIN if is_admin else Role.VIEWER
    return Caller(role, remote, is_local=is_local, has_token=True)


@lru_cache(maxsize=256)
def _without_token(role: Role, remote: str, *, is_local: bool) -> Caller:
    return Caller(role, remote, is_local=is_local, has_token=False)


def _bare_role(config: Config, *, is_local: bool) -> Role:
    if not is_local or config.admin_token or config.viewer_token or config.password:
        return Role.ANONYMOUS
    return Role.ADMIN if config.mode is Mode.SANDBOX else Role.VIEWER


def _same(token: bytes, expected: SecretStr | None) -> bool:
    secret = expected.get_secret_value().encode() if expected else b""
    return bool(secret) & compare_digest(token, secret)


def _check_role(request: web.Request, caller: Caller) -> None:
    if caller.role is Role.ADMIN:
        return
    if request.method in READING:
        if caller.role is Role.VIEWER or request.path in PUBLIC:
            return
        if caller.is_local and request.path in LOCAL:
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
