"""The code under test in one machine: the service's flows and loops, as `app` wires them."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Collection, Coroutine
from contextlib import suppress
from contextvars import Context, copy_context
from decimal import Decimal
from functools import partial
from typing import Any, Final, cast

from service.app import jobs
from service.app.services import Services
from service.bus import OrderMoved
from service.domain.errors import BoundaryError, ServiceError
from service.domain.markets import Market, Ticker
from service.domain.orders import OPEN, Intent, Order
from service.domain.prices import PriceSource
from service.domain.signals import Action, Proposal, Signal, Trigger
from service.domain.trading_states import OrderSource
from service.flows.propose import Proposer
from service.loops.loop import Loop
from service.ports.store import NewSignal
from tests.simulation.loop import MACHINE
from tests.simulation.machine import Machine
from tests.simulation.wiring import MachineClock, wired
from tests.simulation.world import World

#: Real seconds between the attempts of a job.
RETRIES_S: Final = (1.0, 2.0, 4.0)
#: Loops that act on prices: run where a history is about those.
OF_PRICES: Final = frozenset(
    {
        "collect_market_data", "snapshot_equity", "protection.sell", "protection.watch",
        "protection.ask", "protection.keep", "exits.store", "exits.watch", "prices.check",
        "prices.limits", "check_volatility", "check.rejections",
    }
)  # fmt: skip
#: Loops that have no part in the order protocol. Any other one that `app` declares is run.
NOT_RUN: Final = OF_PRICES | {
    "generate_trading_signal", "cleanup_old_data", "check.clock", "check.machine", "check.key",
    "health.probe", "settings.listen", "send_alerts", "metrics.flush", "metrics.lag",
    "verify_books", "postgres.keep",
}  # fmt: skip


class ScriptedProposer:
    """Makes the signal that the history says."""

    def __init__(self, services: Services) -> None:
        self._ports = services.ports
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
            at=self._ports.clock.now(),
        )
        return await self._ports.store.signals.add_signal(new)


class Trader:
    """One life of the service's process, from its start to its death."""

    def __init__(
        self,
        world: World,
        machine: Machine,
        *,
        ahead_s: float = 0.0,
        not_run: Collection[str] = NOT_RUN,
    ) -> None:
        self._world = world
        self._not_run = not_run
        self.machine = machine
        self.services = wired(world, machine, MachineClock(world, ahead_s=ahead_s))
        self._proposer = ScriptedProposer(self.services)
        pipeline = self.services.pipeline
        pipeline._proposer = cast(Proposer, self._proposer)
        self._executor = pipeline._executor
        self._executor._new_id = world.new_identifier
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

    def not_placed(self, order: Order) -> None:
        """An operator says that `order` was never placed; the process that trades acts on it."""
        if self.machine.is_alive:
            self._spawn(self._guarded("operator's word", partial(self._not_placed, order)))

    def told(self, ticker: Ticker) -> None:
        """A ticker arrives on the feed."""
        if self.machine.is_alive:
            hear = partial(self.services.live_prices.hear, ticker, source=PriceSource.STREAM)
            self._world.loop.call_soon(hear, context=self._context)

    def hear_of(self, setting: str) -> None:
        """A notification of a changed setting, or of a halt, arrives."""
        if self.machine.is_alive:
            settings = self.services.ports.settings
            self._spawn(self._guarded("LISTEN", partial(settings.invalidate, setting)))

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        self._tasks.add(self._world.loop.create_task(work, context=self._context))

    async def _run(self) -> None:
        """Start as `jobs.repeating` does."""
        services = self.services
        await jobs.anchor_prices(services)
        await services.trading_switch.load()
        await self._guarded("LISTEN", services.ports.settings.trust)
        await self._guarded("leader.renew", services.leadership.renew)
        await self._guarded("leader.settle", services.leadership.settle)
        for loop in (*jobs.jobs(services), *jobs.maintenance(services)):
            if loop.name == jobs.SYNC:
                self._nudged(loop)
            if loop.name not in self._not_run:
                self._spawn(self._repeated(loop))

    def _nudged(self, loop: Loop) -> None:
        async def follow(moved: OrderMoved) -> None:
            if moved.status in OPEN:
                loop.nudge.set()

        self.services.bus.subscribe(OrderMoved, follow)

    async def _repeated(self, loop: Loop) -> None:
        sleep = self.services.process.real_clock.sleep_real
        wake = loop.nudge if loop.name == jobs.SYNC else None
        every_s = 1.0
        while True:
            await sleep(every_s, wake=wake)
            loop.nudge.clear()
            await self._guarded(loop.name, loop.step)
            try:
                every_s = (await loop.every()).total_seconds()
            except BoundaryError:
                every_s = RETRIES_S[0]

    async def _signal(self, market: Market, action: Action) -> None:
        for wait_s in (*RETRIES_S, None):
            if not self.services.leadership.may_trade:
                return
            self._proposer.proposal = Proposal(
                action=action, confidence=Decimal("0.9"), reasoning="as the history says"
            )
            if await self._guarded("signal", partial(self.services.pipeline.trade, market)):
                return
            if wait_s is not None:
                await asyncio.sleep(wait_s)

    async def _by_hand(self, intent: Intent) -> None:
        if self.services.leadership.may_trade:
            await self._executor.execute(intent, decision_id=None, source=OrderSource.HAND)

    async def _not_placed(self, order: Order) -> None:
        await self.services.not_placed_orders.declare(order.id, by="operator")
        self._world.declared(order.identifier)

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


def drop_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """End what still runs at the end of a history: dead machines' tasks, and loops."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        # A group of tasks answers its end with an error of its own.
        with suppress(BaseExceptionGroup, RuntimeError):
            task.get_coro().close()
