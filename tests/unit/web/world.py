"""The web room over the production wiring, on a port of loopback; what is outside are fakes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from service.app.handlers import bind
from service.app.jobs import maintenance
from service.app.services import Services
from service.config import Config
from service.domain.markets import Market
from service.domain.signals import Signal
from service.ops.metrics.counters import Counters
from service.ports.health import Jobs, JobState
from service.ports.store import NewSignal
from service.web import keys
from service.web.protocol.request_body import MAX_BODY
from service.web.routes import setup
from tests.builders import a_config
from tests.fakes.clock import FakeClock
from tests.fakes.database import FakeActivity
from tests.fakes.lists import FakeLists
from tests.fakes.setting_rows import FakeSettingRows
from tests.fakes.signals import FakeSignals
from tests.unit.app.house import House

if TYPE_CHECKING:
    from loguru import Message

Client = TestClient[web.Request, web.Application]
Serve = Callable[["World"], Awaitable[Client]]
KRW_ETH = Market("KRW", "ETH")


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


class ListedSignals(FakeSignals):
    """The same table as the API's: a stored signal is in the lists."""

    def __init__(self, lists: Callable[[], FakeLists]) -> None:
        super().__init__()
        self._lists = lists

    async def add_signal(self, new: NewSignal) -> Signal:
        signal = await super().add_signal(new)
        action = new.proposal.action.value
        self._lists().add_signal(market=str(new.market), action=action, n=signal.id)
        return signal


class ShownJobs:
    """Satisfies ports.Jobs: the runner's states, unless a test puts others in `jobs`."""

    def __init__(self) -> None:
        self.jobs: list[JobState] = []
        self.real: Jobs | None = None

    def states(self) -> Sequence[JobState]:
        return self.jobs or (self.real.states() if self.real else ())


class World(House):
    """A house whose API is served; by its fake clock it is T0 until a test moves it.

    Attributes:
        bound: as the composition root built them; set by `app`.
        jobs: the states of jobs that are shown.
        log: the lines of requests.
    """

    clock: FakeClock
    real_clock: FakeClock
    bound: Services

    def __init__(self, *, config: Config | None = None, epoch: int | None = 1) -> None:
        super().__init__(epoch=epoch)
        self.config = config or a_config()
        self.clock, self.real_clock = FakeClock(), FakeClock()
        self.counters = Counters(self.real_clock)
        self.signals = ListedSignals(lambda: self.lists)
        self.exchange.set_price(4_000_000, KRW_ETH)
        self.activity = FakeActivity()
        self.setting_rows = FakeSettingRows({"markets": ["KRW-BTC", "KRW-ETH"]})
        self.jobs = ShownJobs()
        self.log = RequestLines()
        self.body_within_s = 10.0

    def app(self) -> web.Application:
        """Return the application as `serve` makes it, with request ids of one value."""
        self.bound = self.services()
        self.jobs.real = self.bound.jobs
        app = web.Application(client_max_size=MAX_BODY)
        app[keys.BODY_WITHIN_S] = self.body_within_s
        setup(app, new_id=lambda: "r-1", requests=self.counters.requests)
        bind(app, self.bound)
        app[keys.JOBS] = self.jobs
        return app

    async def lead(self) -> None:
        """Take the lease, settle what is open and look at every part, as a start does."""
        steps = {loop.name: loop.step for loop in maintenance(self.bound)}
        for name in ("trading.state", "leader.renew", "leader.settle", "health.probe"):
            await steps[name]()
