"""What one resource hands to the next; what handlers see has its keys in web/keys.py."""

from dataclasses import dataclass

import aiohttp
from aiohttp import web

from service.adapters.gemini import Gemini
from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus
from service.flows.circuit_breaker import Circuit
from service.flows.equity import Snapshots
from service.flows.holdings_check import HoldingsCheck
from service.flows.leadership import Leadership
from service.flows.reconcile import Reconciler
from service.flows.retention import Retention
from service.flows.trade import TradingPipeline
from service.loops.runner import Runner
from service.ops.health.monitor import HealthMonitor
from service.store.database.pool import Pool
from service.store.embedded.server import EmbeddedPostgres
from service.store.tables.equity import PgEquities
from service.store.tables.lease import PgLease
from service.store.tables.market_data import PgMarketData
from service.store.tables.metrics import PgMetricRows
from service.store.tables.orders import PgOrders
from service.store.tables.partitions import PgHistory
from service.store.tables.signals import PgSignals
from service.store.tables.trading_state import PgTradingState


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One object a table family. What jobs only collect or add up is on their share."""

    market_data: PgMarketData
    collected: PgMarketData  #: the same rows, for those jobs
    journal: PgSignals
    orders: PgOrders
    state: PgTradingState
    equities: PgEquities
    lease: PgLease
    metrics: PgMetricRows
    history: PgHistory


@dataclass(frozen=True, slots=True, kw_only=True)
class Circuits:
    """What fails too often is left alone for a while: ADR 0015."""

    model: Circuit
    purchases: Circuit


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the exchange and the model are, and how to sign in."""

    quotation_url: str
    exchange_url: str
    gemini_url: str
    access_key: str
    secret_key: str
    gemini_key: str
    paced: bool  #: keep to Upbit's limits; a fast market is asked more often than they allow


DSN = web.AppKey("dsn", str)
EMBEDDED = web.AppKey("embedded", EmbeddedPostgres)  #: only where the server is ours
POOL = web.AppKey("gate", Pool)
API_POOL = web.AppKey("web_gate", Pool)  #: the share of it that the API has
#: The share of the jobs that only collect, measure and clean up.
JOBS_POOL = web.AppKey("jobs_gate", Pool)
STORE = web.AppKey("store", Store)
UPSTREAM = web.AppKey("upstream", Upstream)
ACCOUNT = web.AppKey("account", UpbitRest)
SESSION = web.AppKey("session", aiohttp.ClientSession)
MODEL = web.AppKey("model", Gemini)
BUS = web.AppKey("bus", Bus)
RUNNER = web.AppKey("runner", Runner)  #: the jobs, by the market's clock
MAINTENANCE = web.AppKey("house", Runner)  #: the house's own beats, by real time
LEADERSHIP = web.AppKey("leadership", Leadership)
CIRCUITS = web.AppKey("circuits", Circuits)
HOLDINGS_CHECK = web.AppKey("books", HoldingsCheck)
RECONCILER = web.AppKey("reconciler", Reconciler)
PIPELINE = web.AppKey("desk", TradingPipeline)
HEALTH_MONITOR = web.AppKey("health_monitor", HealthMonitor)
RETENTION = web.AppKey("retention", Retention)
SNAPSHOTS = web.AppKey("snapshots", Snapshots)
