"""What has to be opened and closed: database, market, sessions, settings. One function each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final
from uuid import uuid4

import aiohttp
from loguru import logger
from pydantic import SecretStr

from service.adapters.clock import RealTimeMarketClock, SystemClock
from service.adapters.exit_journal import FileExitJournal
from service.adapters.gemini import Gemini, open_gemini
from service.adapters.halt_journal import FileHaltJournal
from service.adapters.upbit.client import exchange_socket
from service.adapters.upbit.rest import UpbitRest
from service.adapters.upbit.sign import Signer
from service.adapters.upbit.stream.client import UpbitStreams
from service.app.services import ApiStore, Ports, Store
from service.config import GEMINI_REST, UPBIT_REST, UPBIT_WS, Config, Mode
from service.domain.errors import BoundaryError, ConfigError, StartError
from service.flows.alerts.rules import loss_notice, order_notices, risk_notices, setting_notices
from service.flows.leadership import LEASE_TTL_S
from service.ports.alerts import Target
from service.ports.clock import MarketClock
from service.sandbox.clock import PacedMarketClock, SandboxClock
from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from service.settings.settings import Settings
from service.settings.table import TRADING_ENABLED
from service.store.database.pool import Pool, SubPool, open_pool
from service.store.embedded.server import EmbeddedPostgres
from service.store.migrations.migrate import migrate, migrations_folder
from service.store.queries.account import PgAccountLists
from service.store.queries.lists import PgLists
from service.store.queries.metrics import PgStatistics
from service.store.queries.portfolio import PgPortfolio
from service.store.tables.account import PgAccountBooks
from service.store.tables.activity import PgActivity
from service.store.tables.alerts import PgAlerts
from service.store.tables.audit import PgAudit
from service.store.tables.equity import PgEquities
from service.store.tables.flattenings import PgFlattenings
from service.store.tables.lease import PgLease
from service.store.tables.loss_days import PgLossDays
from service.store.tables.market_data import PgMarketData
from service.store.tables.metrics import PgMetricRows
from service.store.tables.model_spending import PgModelSpending
from service.store.tables.order_requests import PgOrderRequests
from service.store.tables.order_sweep import PgSweptOrders
from service.store.tables.orders import PgOrders
from service.store.tables.partitions import PgHistory
from service.store.tables.protection import PgProtections
from service.store.tables.settings import PgSettingRows
from service.store.tables.signals import PgSignals
from service.store.tables.trading_state import PgTradingState

POOL_MIN: Final = 10  #: FR-001
POOL_MAX: Final = 20  #: FR-001
#: What the API may have of them, and the jobs that only collect, measure and clean up. The rest,
#: five at least, is for orders, the lease, alerts and health, however many of the others hang.
POOL_API: Final = 12
POOL_JOBS: Final = 3
#: For changes of settings, which may wait for locks. Not of the API's connections: readers who hold
#: all of those must not keep the switch `trading_enabled` out.
POOL_CHANGES: Final = 1


@asynccontextmanager
async def open_server(
    config: Config, *, opened: Callable[[EmbeddedPostgres], None] | None = None
) -> AsyncIterator[str]:
    """Yield the address of the database: the operator's server, or our own embedded one.

    Args: opened: gets our own server, for the loop that starts it again.
    """
    if config.database_url is not None:
        yield config.database_url.get_secret_value()
        return
    server = EmbeddedPostgres(config.data_dir / "postgres")
    try:
        await asyncio.to_thread(server.start)
        # Play money and real money in databases of their own.
        name = f"trader_{config.mode}"
        await asyncio.to_thread(server.ensure_database, name)
        if opened is not None:
            opened(server)
        yield server.dsn(name)
    finally:
        await asyncio.to_thread(server.stop)


@asynccontextmanager
async def open_ports(config: Config, *, targets: Sequence[Target]) -> AsyncIterator[Ports]:
    """Open everything from the database to the settings; close it in the opposite order.

    Raises: StartError, with everything that was opened closed again.
    """
    async with (
        open_database(config) as database,
        open_market(config) as market,
        open_exchange(config, market) as upbit,
        open_streams(market, upbit) as streams,
        open_model(market) as gemini,
        open_settings(config, database, market.clock) as settings,
    ):
        yield Ports(
            clock=market.clock,
            speed=market.speed,
            waiting_s=market.waiting_s,
            loop_context=market.loop_context,
            dsn=database.dsn,
            own_server=database.own_server,
            database=database.pool,
            activity=PgActivity(database.pool),
            store=database.store,
            api=database.api,
            halt_journal=FileHaltJournal(config.data_dir / f"halts-{config.mode}.jsonl"),
            exit_journal=FileExitJournal(config.data_dir / f"exits-{config.mode}.jsonl"),
            exchange=upbit.trading,
            watching=upbit.watching,
            account=upbit.watching,
            streams=streams,
            model=gemini,
            settings=settings,
            outbox=PgAlerts(database.pool),
            targets=targets,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedDatabase:
    """The pool, filled, and what works over it.

    Attributes:
        api_pool, jobs_pool: the sub-pools of the API and of the jobs that collect and measure.
        changes_pool: that of changes of settings.
    """

    dsn: str
    own_server: EmbeddedPostgres | None
    pool: Pool
    api_pool: SubPool
    jobs_pool: SubPool
    changes_pool: SubPool
    store: Store
    api: ApiStore


@asynccontextmanager
async def open_database(config: Config) -> AsyncIterator[OpenedDatabase]:
    own: list[EmbeddedPostgres] = []
    async with open_server(config, opened=own.append) as dsn:
        await asyncio.to_thread(migrate, dsn, migrations_folder())
        async with open_pool(
            dsn, minsize=POOL_MIN, maxsize=POOL_MAX, max_waiting=config.max_waiting
        ) as pool:
            jobs_pool = pool.sub_pool(POOL_JOBS, max_waiting=config.max_waiting)
            api_pool = pool.sub_pool(POOL_API, max_waiting=config.max_waiting)
            state = PgTradingState(pool, notices=risk_notices)
            await _claim(state, config.mode)
            yield OpenedDatabase(
                dsn=dsn,
                own_server=next(iter(own), None),
                pool=pool,
                api_pool=api_pool,
                jobs_pool=jobs_pool,
                changes_pool=pool.sub_pool(POOL_CHANGES, max_waiting=config.max_waiting),
                store=Store(
                    market_data=PgMarketData(pool),
                    collected=PgMarketData(jobs_pool),
                    signals=PgSignals(pool),
                    model_spending=PgModelSpending(pool),
                    orders=PgOrders(pool, notices=order_notices),
                    order_requests=PgOrderRequests(pool),
                    flattenings=PgFlattenings(pool),
                    protections=PgProtections(pool),
                    state=state,
                    loss_days=PgLossDays(pool, notice=loss_notice),
                    equities=PgEquities(jobs_pool),
                    account=PgAccountBooks(pool),
                    swept=PgSweptOrders(pool),
                    lease=PgLease(pool, owner=str(uuid4()), ttl_s=LEASE_TTL_S),
                    metrics=PgMetricRows(jobs_pool),
                    history=PgHistory(jobs_pool),
                    audit=PgAudit(pool),
                ),
                api=ApiStore(
                    orders=PgOrders(api_pool),
                    lists=PgLists(api_pool),
                    audit=PgAudit(api_pool),
                    acknowledgements=PgAlerts(api_pool),
                    portfolio=PgPortfolio(api_pool),
                    account=PgAccountLists(api_pool),
                    deposits=PgAccountBooks(api_pool),
                    statistics=PgStatistics(api_pool),
                ),
            )


async def _claim(state: PgTradingState, mode: Mode) -> None:
    owner = await state.claim_mode(mode.value)
    if owner != mode.value:
        raise StartError(
            f"This database holds the {owner} mode's orders and cannot serve {mode}:"
            " name another one in DATABASE_URL, or another TRADER_DATA_DIR"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the exchange and the model are, and how to sign in."""

    quotation_url: str
    exchange_url: str
    stream_url: str
    gemini_url: str
    access_key: str
    secret_key: str
    gemini_key: str
    paced: bool  #: keep to Upbit's limits; a fast market is asked more often than they allow


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedMarket:
    """Where the market is, and its time; see `Ports`."""

    upstream: Upstream
    clock: MarketClock
    speed: float
    waiting_s: Callable[[], float]
    loop_context: Callable[[], AbstractAsyncContextManager[None]] = nullcontext


@asynccontextmanager
async def open_market(config: Config) -> AsyncIterator[OpenedMarket]:
    """Decide where the market is: our own sandbox, another process's, or the real one."""
    if config.mode is Mode.SANDBOX and config.upbit_base_url is None:
        async with open_sandbox(sandbox_options(config)) as sandbox:
            yield _simulated(_in_sandbox(sandbox, paced=config.speed == 1), sandbox.clock)
    else:
        followed = await _sandbox_elsewhere(config)
        if followed is None:
            yield _in_real_time(outside(config, paced=True))
        else:
            yield _simulated(outside(config, paced=followed.speed == 1), followed)


def _in_real_time(upstream: Upstream) -> OpenedMarket:
    real_clock = SystemClock()
    return OpenedMarket(
        upstream=upstream,
        clock=RealTimeMarketClock(real_clock),
        speed=1.0,
        waiting_s=real_clock.monotonic,  # it cannot be set back, the market's instants can
    )


def _simulated(upstream: Upstream, clock: SandboxClock) -> OpenedMarket:
    return OpenedMarket(
        upstream=upstream,
        clock=clock,
        speed=float(clock.speed or 1),  # speed 0 has no ratio to real seconds
        # A fast market runs ahead of real time, and so do the waits between attempts.
        waiting_s=lambda: clock.now().timestamp(),
        loop_context=clock.participant,
    )


async def _sandbox_elsewhere(config: Config) -> PacedMarketClock | None:
    """Return a clock that follows a sandbox in another process; None where time is real.

    Raises: StartError, for a market whose time no other process can follow.
    """
    if config.mode is not Mode.SANDBOX or config.upbit_base_url is None:
        return None
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
            session.get(f"{config.upbit_base_url}/__sandbox__/clock") as answer,
        ):
            told = await answer.json()
            origin, speed = datetime.fromisoformat(told["now"]), Decimal(told["speed"])
    except (aiohttp.ClientError, TimeoutError, ValueError, ArithmeticError, KeyError, TypeError):
        logger.bind(event="app").warning(
            "the exchange in UPBIT_BASE_URL tells no time of its own, real time is assumed"
        )
        return None
    if speed == 0:
        raise StartError(
            "The sandbox in UPBIT_BASE_URL runs as fast as possible, and only a service in its own"
            " process can keep up: start it with another --speed"
        )
    return PacedMarketClock(origin=origin, speed=speed)


def sandbox_options(config: Config, *, port: int = 0) -> SandboxOptions:
    return SandboxOptions(
        markets=config.markets,
        seed=config.seed,
        speed=config.speed,
        candles=config.candles,
        port=port,
        state_dir=config.data_dir / "sandbox",
    )


def _in_sandbox(sandbox: Sandbox, *, paced: bool) -> Upstream:
    return Upstream(
        quotation_url=sandbox.upbit_url,
        exchange_url=sandbox.upbit_url,
        stream_url=sandbox.upbit_ws_url,
        gemini_url=sandbox.gemini_url,
        access_key=sandbox.access_key,
        secret_key=sandbox.secret_key,
        gemini_key=sandbox.gemini_key,
        paced=paced,
    )


def outside(config: Config, *, paced: bool) -> Upstream:
    upbit = config.upbit_base_url or UPBIT_REST
    return Upstream(
        quotation_url=upbit,
        exchange_url=upbit,
        stream_url=config.upbit_ws_url or _stream_of(config.upbit_base_url),
        gemini_url=config.gemini_base_url or GEMINI_REST,
        access_key=_revealed(config.upbit_access_key),
        secret_key=_revealed(config.upbit_secret_key),
        gemini_key=_revealed(config.gemini_api_key) or "sandbox",
        paced=paced,
    )


def _stream_of(base_url: str | None) -> str:
    """Return the stream beside a REST address: both are one server, at Upbit and in a sandbox."""
    return UPBIT_WS if base_url is None else f"ws{base_url.removeprefix('http')}/websocket/v1"


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret is not None else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedExchange:
    """One account over two sets of connections: see `Ports`."""

    trading: UpbitRest
    watching: UpbitRest


def _exchange_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=16, limit_per_host=16, ttl_dns_cache=300, socket_factory=exchange_socket
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


@asynccontextmanager
async def open_exchange(config: Config, market: OpenedMarket) -> AsyncIterator[OpenedExchange]:
    upstream = market.upstream
    async with _exchange_session() as session, _exchange_session() as watching:
        upbit = UpbitRest(
            session,
            quotation_url=upstream.quotation_url,
            exchange_url=upstream.exchange_url,
            access_key=upstream.access_key,
            secret_key=upstream.secret_key,
            paced=upstream.paced,
            seconds=market.waiting_s,
        )
        await _check_markets(upbit, config)
        yield OpenedExchange(trading=upbit, watching=upbit.watching(watching))


@asynccontextmanager
async def open_streams(
    market: OpenedMarket, exchange: OpenedExchange
) -> AsyncIterator[UpbitStreams]:
    """Yield what opens the streams; each connection is opened by the loop that reads it."""
    upstream = market.upstream
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        signer = Signer(upstream.access_key, upstream.secret_key)
        yield UpbitStreams(
            session,
            url=upstream.stream_url,
            signer=signer,
            market_events=exchange.trading.market_events,
        )


async def _check_markets(upbit: UpbitRest, config: Config) -> None:
    try:
        traded = await upbit.markets()
    except BoundaryError as exc:
        # The exchange may be away for a while; that is no reason not to start.
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the exchange cannot be asked for its markets right now"
        )
        return
    for market_ in config.markets:
        if market_ not in traded:
            raise ConfigError(f"TRADER_MARKETS: {market_} is not traded on this exchange")


@asynccontextmanager
async def open_model(market: OpenedMarket) -> AsyncIterator[Gemini]:
    async with open_gemini(
        api_key=market.upstream.gemini_key,
        base_url=market.upstream.gemini_url,
        seconds=market.waiting_s,
        now=market.clock.now,
    ) as gemini:
        yield gemini


@asynccontextmanager
async def open_settings(
    config: Config, database: OpenedDatabase, clock: MarketClock
) -> AsyncIterator[Settings]:
    rows = PgSettingRows(database.pool, changing=database.changes_pool, notices=setting_notices)
    table = Settings(rows, clock)
    table.distrust()  # until the listener's connection stands
    if config.mode is not Mode.LIVE:
        # Play money trades from the first minute; with real money the operator says when.
        await table.seed({TRADING_ENABLED.name: True}, by="system:first-start")
    try:
        yield table
    finally:
        await table.close()
