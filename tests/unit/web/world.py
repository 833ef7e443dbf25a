"""The whole web room on fakes, over a loopback socket."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from service.config import Config
from service.domain.markets import Market
from service.domain.signals import Signal
from service.ops.metrics.requests import RequestMeter
from service.ports.health import JobState, PoolState
from service.ports.queries import Page, PageKey
from service.ports.requests import Requests
from service.ports.store import JSON
from service.settings.settings import Settings
from service.web import keys
from service.web.protocol.request_body import MAX_BODY
from service.web.routes import setup
from tests.builders import a_signal
from tests.fakes.clock import FakeClock
from tests.fakes.exchange import FakeExchange
from tests.fakes.health import FakeHealth
from tests.fakes.lists import FakeLists
from tests.fakes.orders import FakeOrders
from tests.fakes.setting_rows import FakeSettingRows

if TYPE_CHECKING:
    from loguru import Message

Client = TestClient[web.Request, web.Application]
Serve = Callable[["World"], Awaitable[Client]]


class FakeAudit:
    """Satisfies ports.Audit."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.fail: BaseException | None = None

    async def add(
        self,
        *,
        actor: str,
        action: str,
        subject: str,
        detail: Mapping[str, JSON],
        request_id: str | None,
        at: datetime,
    ) -> None:
        if self.fail is not None:
            raise self.fail
        self.rows.append(
            {"actor": actor, "action": action, "subject": subject, "request_id": request_id}
        )


class RequestLines:
    """A sink of loguru that keeps the lines of requests."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.heard = asyncio.Event()  #: the first one is here

    def __call__(self, message: "Message") -> None:
        record = message.record
        if record["extra"].get("event") == "http":
            self.lines.append({"level": record["level"].name, **record["extra"]})
            self.heard.set()


class FakeDatabase:
    """Satisfies ports.Database."""

    async def ping(self) -> None:
        return

    def state(self) -> PoolState:
        return PoolState(size=10, free=9, max=20, waiting=0)

    def wait_p95_ms(self) -> float | None:
        return None


class FakeStatistics:
    """Satisfies ports.Statistics; remembers the windows asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, datetime, datetime]] = []

    async def jobs(self, *, since: datetime, until: datetime) -> bytes:
        return self._noted("jobs", since, until)

    async def requests(self, *, since: datetime, until: datetime) -> bytes:
        return self._noted("requests", since, until)

    async def model_calls(self, *, since: datetime, until: datetime) -> bytes:
        return self._noted("model_calls", since, until)

    def _noted(self, name: str, since: datetime, until: datetime) -> bytes:
        self.asked.append((name, since, until))
        return b'{"items":[]}'


class FakePortfolio:
    """Satisfies ports.Portfolio; remembers what was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Mapping[str, object]]] = []
        self.days = b'[{"day":"2026-01-24","market":"KRW-BTC"}]'
        self.last: PageKey | None = None

    async def summary(self, *, quote: str, now: datetime, days: Sequence[int]) -> bytes:
        self.asked.append(("summary", {"quote": quote, "now": now, "days": list(days)}))
        return b'{"equity":"10000000"}'

    async def equity(self, *, quote: str, since: datetime, until: datetime, points: int) -> bytes:
        asked = {"quote": quote, "since": since, "until": until, "points": points}
        self.asked.append(("equity", asked))
        return b'{"items":[]}'

    async def daily(
        self, *, limit: int, before: PageKey | None = None, market: Market | None = None
    ) -> Page:
        self.asked.append(("daily", {"limit": limit, "before": before, "market": market}))
        return Page(self.days, self.last)


class FakeJobs:
    """Satisfies ports.Jobs."""

    def __init__(self) -> None:
        self.jobs: list[JobState] = []

    def states(self) -> list[JobState]:
        return self.jobs


def a_config(**overrides: Any) -> Config:
    values = {"markets": (Market("KRW", "BTC"), Market("KRW", "ETH"))} | overrides
    return Config(_env_file=None, **values)


@dataclass
class World:
    """Everything the web room asks, as fakes."""

    config: Config = field(default_factory=a_config)
    clock: FakeClock = field(default_factory=FakeClock)
    health: FakeHealth = field(default_factory=FakeHealth)
    lists: FakeLists = field(default_factory=FakeLists)
    orders: FakeOrders = field(default_factory=FakeOrders)
    exchange: FakeExchange = field(default_factory=FakeExchange)
    setting_rows: FakeSettingRows = field(
        default_factory=lambda: FakeSettingRows({"markets": ["KRW-BTC", "KRW-ETH"]})
    )
    audit: FakeAudit = field(default_factory=FakeAudit)
    jobs: FakeJobs = field(default_factory=FakeJobs)
    statistics: FakeStatistics = field(default_factory=FakeStatistics)
    portfolio: FakePortfolio = field(default_factory=FakePortfolio)
    real_clock: FakeClock = field(default_factory=FakeClock)
    requests: Requests = field(default_factory=lambda: RequestMeter(FakeClock()))
    log: RequestLines = field(default_factory=RequestLines)
    asked: list[Market] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    refusal: BaseException | None = None  #: raised by generate, reconcile and run_job
    body_within_s: float = 10.0

    async def generate(self, market: Market) -> Signal:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append(market)
        self.lists.add_signal(market=str(market), n=77)
        return a_signal(id=77, market=market)

    async def reconcile(self) -> int:
        if self.refusal is not None:
            raise self.refusal
        return 3

    async def run_job(self, name: str) -> JobState:
        if self.refusal is not None:
            raise self.refusal
        self.ran.append(name)
        return next(job for job in self.jobs.jobs if job.name == name)

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY)
        app[keys.CONFIG] = self.config
        app[keys.CLOCK] = self.clock
        app[keys.HEALTH] = self.health
        app[keys.LISTS] = self.lists
        app[keys.ORDERS] = self.orders
        app[keys.EXCHANGE] = self.exchange
        app[keys.SETTINGS] = Settings(self.setting_rows, self.clock)
        app[keys.DATABASE] = FakeDatabase()
        app[keys.JOBS] = self.jobs
        app[keys.AUDIT] = self.audit
        app[keys.STATISTICS] = self.statistics
        app[keys.PORTFOLIO] = self.portfolio
        app[keys.REAL_CLOCK] = self.real_clock
        app[keys.EXPOSITION] = lambda: b"trader_trading_active 1.0\n"
        app[keys.GENERATE] = self.generate
        app[keys.RECONCILE] = self.reconcile
        app[keys.RUN_JOB] = self.run_job
        app[keys.BODY_WITHIN_S] = self.body_within_s
        setup(app, new_id=lambda: "r-1", requests=self.requests)
        return app
