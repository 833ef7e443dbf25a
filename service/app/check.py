"""What `trader check` looks at: one finding a line, each with its remedy."""

import asyncio
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, TypedDict

import aiohttp
from pydantic import SecretStr

from service.adapters.gemini import open_gemini
from service.adapters.upbit.rest import UpbitRest
from service.app.checks import exchange
from service.app.checks.access import access
from service.app.checks.alerts import alerts
from service.app.checks.database import database
from service.app.checks.finding import LOOK_S, CheckLevel, CheckResult, bounded, fail, ok
from service.app.checks.machine import machine
from service.app.checks.model import ITEM as GEMINI
from service.app.checks.model import model
from service.app.resources import Upstream, outside
from service.app.serve import bound
from service.config import Config, Mode, variable
from service.domain.errors import StartError
from service.sandbox.market.candle_file import read_candles

OURS_WITHIN_S: Final = 1.0


class CheckBody(TypedDict):
    ok: bool  #: no finding is a FAIL
    findings: list[dict[str, Any]]  #: each with the fields of CheckResult


async def findings(config: Config) -> tuple[CheckResult, ...]:
    """Return every variable as it is in force, masked, and what can be tried without trading.

    The checks run concurrently, each for five seconds at most. Only an embedded server that
    recovers from a crash may take longer.
    """
    candles, port, stored, upbit = await asyncio.gather(
        asyncio.to_thread(_candles, config), _port(config), _stored(config), _upbit(config)
    )
    here = (*machine(config), port, access(config), alerts(config), candles)
    return (*_variables(config), *here, *stored, *upbit)


def document(found: Sequence[CheckResult]) -> CheckBody:
    """Return what `trader check --json` prints."""
    fine = all(finding.level is not CheckLevel.FAIL for finding in found)
    return CheckBody(ok=fine, findings=[asdict(finding) for finding in found])


def _variables(config: Config) -> Iterator[CheckResult]:
    for field in Config.model_fields:
        value = getattr(config, field)
        if isinstance(value, SecretStr):
            text = "set (hidden)"
        elif value is None:
            text = "not set"
        elif isinstance(value, tuple):
            text = ",".join(map(str, value))
        else:
            text = str(value)
        yield ok(variable(field), text)


async def _port(config: Config) -> CheckResult:
    try:
        with closing(bound(config)):
            return ok("port", f"{config.host}:{config.port} is free")
    except StartError as exc:
        if await _serves(config):
            return ok("port", f"{config.host}:{config.port} is held by a running service of ours")
        return fail("port", str(exc))


async def _serves(config: Config) -> bool:
    """Return whether what holds the port says that it is this program."""
    host = f"[{config.host}]" if ":" in config.host else config.host
    timeout = aiohttp.ClientTimeout(total=OURS_WITHIN_S)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://{host}:{config.port}/health") as answer,
        ):
            told = await answer.json()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        return False
    return bool(told == {"status": "alive"})


def _candles(config: Config) -> CheckResult:
    if config.candles is None:
        return ok("candle file", "none, the market is generated")
    try:
        count = len(read_candles(config.candles).candles)
    except StartError as exc:
        return fail("candle file", str(exc))
    return ok("candle file", f"{count} candles")


async def _stored(config: Config) -> tuple[CheckResult, ...]:
    """Look at the database, then for the model that is set there."""
    found = await database(config)
    if _is_own(config):
        return (*found.findings, ok(GEMINI, "own stand-in"))
    upstream = outside(config, paced=True)
    async with open_gemini(
        api_key=upstream.gemini_key, base_url=upstream.gemini_url, timeout_s=LOOK_S
    ) as gemini:
        look = model(gemini.ping, found.ai_model)
        remedy = "check this machine's network and GEMINI_BASE_URL"
        return (*found.findings, await bounded(look, item=GEMINI, remedy=remedy))


def _is_own(config: Config) -> bool:
    return config.mode is Mode.SANDBOX and config.upbit_base_url is None


async def _upbit(config: Config) -> tuple[CheckResult, ...]:
    if _is_own(config):
        return (ok(exchange.UPBIT, "own sandbox"),)
    upstream = outside(config, paced=True)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        return await _asked(_rest(session, upstream), config)


def _rest(session: aiohttp.ClientSession, upstream: Upstream) -> UpbitRest:
    return UpbitRest(
        session,
        quotation_url=upstream.quotation_url,
        exchange_url=upstream.exchange_url,
        access_key=upstream.access_key,
        secret_key=upstream.secret_key,
    )


async def _asked(upbit: UpbitRest, config: Config) -> tuple[CheckResult, ...]:
    remedy = "check this machine's network and UPBIT_BASE_URL"
    in_time = partial(bounded, remedy=remedy)
    looks: list[Awaitable[CheckResult]] = [
        in_time(exchange.reach(upbit, markets=config.markets), item=exchange.UPBIT)
    ]
    if config.upbit_access_key is not None:
        expiry = exchange.key_expiry(upbit, now=datetime.now(UTC))
        looks += [
            in_time(exchange.key(upbit), item=exchange.KEY),
            in_time(expiry, item=exchange.KEY_EXPIRY),
        ]
    found = await asyncio.gather(*looks)
    rights = (exchange.rights(),) if config.mode is Mode.LIVE else ()
    return (*found, *rights, exchange.clock(upbit.clock_skew_s))
