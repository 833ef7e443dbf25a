"""The code under test in one machine: the order protocol's real flows, wired as in `app`."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final, cast

from service.adapters.upbit.rest import UpbitRest
from service.bus import Bus
from service.domain.errors import BoundaryError, ExchangeUnavailable, ServiceError
from service.domain.markets import Market
from service.domain.orders import Intent
from service.domain.signals import Action, Proposal, Signal, Trigger
from service.domain.trading_states import OrderSource
from service.flows.circuit_breaker import Circuit
from service.flows.decide import Decider
from service.flows.execute import Executor
from service.flows.leadership import LEASE_TTL_S, RENEW_EVERY_S, Leadership
from service.flows.propose import Proposer
from service.flows.reconcile import Reconciler
from service.flows.trade import TradingPipeline
from service.ports.store import NewSignal
from service.settings.key import Key
from service.settings.settings import Settings
from service.settings.table import TRADING_ENABLED
from tests.fakes.state import LeaseTwin
from tests.simulation.loop import MACHINE
from tests.simulation.machine import Machine
from tests.simulation.network import Wire
from tests.simulation.store import StoreLink
from tests.simulation.world import World

SYNC_EVERY_S: Final = 2.0
SETTLE_EVERY_S: Final = 3.0
RETRIES_S: Final = (1.0, 2.0, 4.0)


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
        await asyncio.sleep(seconds)

    sleep_market = sleep_real


class StaleSettings:
    """The settings as one machine knows them: its cache hears of changes late or never."""

    def __init__(self, world: World) -> None:
        self.trading_enabled = world.settings["trading_enabled"]

    async def get(self, key: Key[Any]) -> Any:
        return self.trading_enabled if key is TRADING_ENABLED else key.default


class ScriptedProposer:
    """Makes the signal that the history says."""

    def __init__(self, signals: Any, clock: MachineClock) -> None:
        self._signals = signals
        self._clock = clock
        self.proposal = Proposal(action=Action.HOLD, confidence=Decimal(1), reasoning="")

    async def propose(self, market: Market, *, trigger: Trigger) -> Signal:
        new = NewSignal(
            market=market,
            proposal=self.proposal,
            model="scripted",
            price=Decimal(1),
            market_data_id=None,
            call_id=1,
            facts={},
            trigger=trigger,
            at=self._clock.now(),
        )
        return cast(Signal, await self._signals.add_signal(new))


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """The real flows over this machine's links."""

    leadership: Leadership
    reconciler: Reconciler
    executor: Executor
    pipeline: TradingPipeline
    proposer: ScriptedProposer
    settings: StaleSettings


def wired(world: World, machine: Machine, clock: MachineClock) -> Wired:
    def link(target: object, name: str) -> Any:
        return StoreLink(world, machine, target, name)

    orders, signals = link(world.orders, "orders"), link(world.signals, "signals")
    lease = link(LeaseTwin(world.tables, owner=machine.name, ttl_s=LEASE_TTL_S), "lease")
    exchange = UpbitRest(
        Wire(world, machine),  # type: ignore[arg-type]  # as far as the client uses a session
        quotation_url="https://exchange",
        exchange_url="https://exchange",
        access_key="access",
        secret_key="s" * 40,
        real_clock=clock,
    )
    reconciler = Reconciler(
        orders=orders, exchange=exchange, bus=Bus(), clock=clock, real_clock=clock
    )
    leadership = Leadership(lease=lease, real_clock=clock, on_gain=reconciler.reconcile)
    settings = StaleSettings(world)
    executor = Executor(
        orders=orders,
        exchange=exchange,
        reconciler=reconciler,
        leadership=leadership,
        settings=cast(Settings, settings),
        clock=clock,
        real_clock=clock,
        new_id=world.new_identifier,
        circuit=Circuit("orders", error=ExchangeUnavailable, seconds=clock.monotonic),
    )
    proposer = ScriptedProposer(signals, clock)
    pipeline = TradingPipeline(
        proposer=cast(Proposer, proposer),
        decider=Decider(
            exchange=exchange,
            orders=orders,
            signals=signals,
            state=link(world.states, "states"),
            settings=cast(Settings, settings),
            clock=clock,
        ),
        executor=executor,
        leadership=leadership,
        signals=signals,
        settings=cast(Settings, settings),
        clock=clock,
    )
    return Wired(
        leadership=leadership,
        reconciler=reconciler,
        executor=executor,
        pipeline=pipeline,
        proposer=proposer,
        settings=settings,
    )


class Trader:
    """One life of the service's process, from its start to its death."""

    def __init__(self, world: World, machine: Machine, *, ahead_s: float = 0.0) -> None:
        self._world = world
        self.machine = machine
        self.clock = MachineClock(world, ahead_s=ahead_s)
        self.flows = wired(world, machine, self.clock)
        self._context: Context = copy_context()
        self._context.run(MACHINE.set, machine)
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        self._world.say(self.machine.name, "starts")
        self._spawn(self._run())

    def signal(self, market: Market, action: Action) -> None:
        """Let the scheduled signal of `market` be `action`, where this process trades."""
        if self.machine.is_alive:
            self._spawn(self._signal(market, action))

    def by_hand(self, intent: Intent) -> None:
        if self.machine.is_alive:
            self._spawn(self._guarded("order by hand", partial(self._by_hand, intent)))

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = self._world.loop.create_task(work, context=self._context)
        # A dead machine's tasks are never finished, and that is no mistake.
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        self._tasks.add(task)

    def end(self) -> None:
        """Drop what still runs, at the end of the history."""
        for task in self._tasks:
            if not task.done():
                task.get_coro().close()

    def hear_of_settings(self) -> None:
        """A notification of changed settings arrives."""
        self.flows.settings.trading_enabled = self._world.settings["trading_enabled"]

    async def _run(self) -> None:
        flows = self.flows
        await self._guarded("lease", flows.leadership.renew)
        await self._guarded("settle", flows.leadership.settle)
        self._spawn(self._repeated("lease", RENEW_EVERY_S, flows.leadership.renew))
        self._spawn(self._repeated("settle", SETTLE_EVERY_S, flows.leadership.settle))
        self._spawn(self._repeated("sync", SYNC_EVERY_S, self._sync))

    async def _sync(self) -> None:
        if self.flows.leadership.may_trade:
            await self.flows.reconciler.reconcile()

    async def _signal(self, market: Market, action: Action) -> None:
        for wait_s in (*RETRIES_S, None):
            if not self.flows.leadership.may_trade:
                return
            self.flows.proposer.proposal = Proposal(
                action=action, confidence=Decimal("0.9"), reasoning="as the history says"
            )
            if await self._guarded("signal", partial(self.flows.pipeline.trade, market)):
                return
            if wait_s is not None:
                await asyncio.sleep(wait_s)

    async def _by_hand(self, intent: Intent) -> None:
        if self.flows.leadership.may_trade:
            await self.flows.executor.execute(intent, decision_id=None, source=OrderSource.HAND)

    async def _repeated(
        self, name: str, every_s: float, step: Callable[[], Awaitable[object]]
    ) -> None:
        while True:
            await asyncio.sleep(every_s)
            await self._guarded(name, step)

    async def _guarded(self, name: str, step: Callable[[], Awaitable[object]]) -> bool:
        """As the runner does: an error of ours ends the pass, any other one is a bug."""
        try:
            await step()
        except ServiceError as exc:
            self._world.say(self.machine.name, f"{name}: {exc!r}")
            return not (isinstance(exc, BoundaryError) and exc.retryable)
        except Exception:  # noqa: BLE001 - the history reports it
            self._world.violated(f"bug in {name}: {traceback.format_exc()}")
        return True
