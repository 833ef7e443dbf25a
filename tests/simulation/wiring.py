"""The production wiring over one machine's links: what `app` binds, the histories run."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Final, cast

from service.adapters.upbit.rest import UpbitRest
from service.adapters.upbit.sign import Signer
from service.app.bootstrap import build
from service.app.services import Ports, Process, Services, Store
from service.config import Config
from service.flows.leadership import LEASE_TTL_S
from service.ops.metrics.counters import Counters
from service.ports.settings import SettingRows
from service.ports.store import JSON
from service.settings.settings import Settings
from tests.builders import a_config
from tests.fakes.account import FakeAccount
from tests.fakes.alerts import FakeOutbox
from tests.fakes.audit import FakeAudit
from tests.fakes.database import AwayActivity, FakeDatabase
from tests.fakes.flattenings import FakeFlattenings
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.metric_rows import FakeMetricRows
from tests.fakes.model import FakeModel
from tests.fakes.model_spending import FakeModelSpending
from tests.fakes.order_requests import FakeOrderRequests
from tests.fakes.state import LeaseTwin
from tests.fakes.streams import AwayStreams
from tests.simulation.exchange import MARKETS
from tests.simulation.machine import Machine
from tests.simulation.network import Wire
from tests.simulation.store import StoreLink
from tests.simulation.world import World
from tests.unit.ops.facts import a_machine_reading

NOWHERE: Final = "postgresql://127.0.0.1:1/nowhere"


@cache
def _config() -> Config:
    return a_config(markets=MARKETS)


class MachineClock:
    """Both clocks of one machine; its wall clock may be set wrongly."""

    def __init__(self, world: World, *, ahead_s: float = 0.0) -> None:
        self._world = world
        self.ahead_s = ahead_s

    def now(self) -> datetime:
        return self._world.exchange.now() + timedelta(seconds=self.ahead_s)

    utc_now = now

    def monotonic(self) -> float:
        return self._world.loop.time()

    async def sleep_real(self, seconds: float, *, wake: asyncio.Event | None = None) -> None:
        if wake is None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await wake.wait()

    sleep_market = sleep_real


class SettingTable:
    """The stored settings, read in one step."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def load(self, key: str) -> tuple[JSON] | None:
        stored = self._world.settings
        return (stored[key],) if key in stored else None

    async def load_all(self) -> Mapping[str, JSON]:
        return dict(self._world.settings)


def wired(world: World, machine: Machine, clock: MachineClock) -> Services:
    """Return the services of one process. What trading does not use are idle fakes."""
    process = Process(
        config=_config(),
        real_clock=clock,
        counters=Counters(clock),
        read_machine=a_machine_reading,
    )
    return build(process, _ports(world, machine, clock))


def _ports(world: World, machine: Machine, clock: MachineClock) -> Ports:
    def link(target: object, name: str) -> Any:
        return StoreLink(world, machine, target, name)

    orders, idle = link(world.orders, "orders"), _Idle()
    exchange = _exchange(world, machine, clock)
    return Ports(
        clock=clock,
        speed=1.0,
        waiting_s=clock.monotonic,
        dsn=NOWHERE,
        own_server=cast("Any", object()) if world.is_alone else None,
        database=idle.database,
        activity=idle.activity,
        store=Store(
            market_data=world.market_data,
            collected=world.market_data,
            signals=link(world.signals, "signals"),
            model_spending=FakeModelSpending(world.tables),
            orders=orders,
            order_requests=link(FakeOrderRequests(world.orders), "order_requests"),
            flattenings=idle.flattenings,
            protections=link(world.protections, "protections"),
            state=link(world.states, "states"),
            loss_days=link(world.loss_days, "loss_days"),
            equities=link(world.equities, "equities"),
            account=link(world.account_books, "account"),
            swept=link(world.swept, "swept"),
            lease=link(LeaseTwin(world.tables, owner=machine.name, ttl_s=LEASE_TTL_S), "lease"),
            metrics=idle.metrics,
            history=idle.history,
            audit=idle.audit,
        ),
        api=cast("Any", None),  # of the web alone
        halt_journal=FakeHaltJournal(),
        exit_journal=world.exit_journal(machine),
        exchange=exchange,
        watching=exchange,
        account=FakeAccount(),
        streams=AwayStreams(),
        model=cast("Any", idle.model),
        settings=Settings(cast("SettingRows", link(SettingTable(world), "settings")), clock),
        outbox=idle.outbox,
        targets=(),
    )


def _exchange(world: World, machine: Machine, clock: MachineClock) -> UpbitRest:
    exchange = UpbitRest(
        Wire(world, machine),  # type: ignore[arg-type]  # as far as the client uses a session
        quotation_url="https://exchange",
        exchange_url="https://exchange",
        access_key="access",
        secret_key="s" * 40,
        real_clock=clock,
    )
    # Signing takes a tenth of a history, and nothing here reads a signature.
    exchange._client._signer = cast("Signer", _Unsigned())
    return exchange


class _Unsigned:
    def authorization(self, params: Mapping[str, str]) -> str:
        return "unsigned"


class _Idle:
    """Ports that the order protocol does not use."""

    def __init__(self) -> None:
        self.database, self.activity = FakeDatabase(), AwayActivity()
        self.metrics = FakeMetricRows()
        self.history, self.audit = cast("Any", None), FakeAudit()
        self.outbox = FakeOutbox()
        self.model = FakeModel()
        self.flattenings = FakeFlattenings()
