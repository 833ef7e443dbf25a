"""One history: a seed becomes a plan, the plan is lived through, and the end is judged."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from service.domain.markets import Market
from service.domain.orders import Intent, OrderType, Side
from service.domain.signals import Action
from service.domain.trading_states import HALT_KINDS
from service.ports.store import TRADING_STATE
from service.sandbox.market.ticks import decimal, rounded, units
from service.settings.table import TRADING_ENABLED
from tests.simulation.backup import Backup
from tests.simulation.exchange import MARKETS
from tests.simulation.fates import FATES
from tests.simulation.invariants import broken, hidden_by, undeclared, unknown, unsettled
from tests.simulation.machine import Machine
from tests.simulation.store import STORE_FAULTS, executed
from tests.simulation.trader import Trader, drop_tasks
from tests.simulation.world import NO_ROW, Kill, Stop, World

_LIVED_S: Final = (15.0, 50.0)
_LONG_S: Final = (130.0, 260.0)
_LONG_SHARE: Final = 0.06
_RESTORED_SHARE: Final = 0.06  #: of the histories in which a backup is restored
#: After the faults everything has this long to agree; it is looked at so often.
HEALING_S: Final = 420.0
LOOK_EVERY_S: Final = 4.0
_MARKS: Final = (
    "orders.add.left", "orders.add.committed", "orders.advance.left", "orders.advance.committed",
    "lease.acquire.committed", "signals.add_decision.committed",
    "post.left", "post.executed", "post.answered", "find.left", "find.executed", "find.answered",
)  # fmt: skip
#: After that, what can be proved of orders that never arrived is proved within this time.
PROVED_S: Final = 900.0
#: And an operator's word ends the rest within this one.
DECLARED_S: Final = 120.0
_NEVER_S: Final = 1000.0
_UNHEARD_SHARE: Final = 0.04  #: of the histories in which only the insert can know of a halt
_BLIND_SHARE: Final = 0.015  #: of the histories in which look-ups fail for minutes
_BLIND_S: Final = (330.0, 380.0)
#: Fates that the order protocol does not survive yet.
KNOWN_HOLES: Final[frozenset[str]] = frozenset()
#: KRW of limit orders: small ones are met at once, large ones bit by bit.
_FUNDS: Final = (Decimal(200_000), Decimal(20_000_000), Decimal(40_000_000))
_RESTING: Final = Decimal("0.9995")  #: of the price, where a purchase may rest and be met later


@dataclass(slots=True)
class Outcome:
    """What a history came to.

    Attributes:
        met: (fault, state of the order it met, status of the order at the end), counted.
        unproved: why orders that never arrived waited for an operator's word, counted.
        declarations: how often such a word has counted, during the faults too.
        acts: what a history about prices has tried and seen, counted.
    """

    seed: int
    violations: list[str]
    met: Counter[tuple[str, str, str]]
    orders: int
    unproved: Counter[str]
    declarations: int
    trace: list[str] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)


class History:
    """Runs one seed."""

    def __init__(self, seed: int, *, tracing: bool = False) -> None:
        self.world = self._world(seed, tracing=tracing)
        self._plan = random.Random(f"{seed}/plan")
        # Of its own: the histories without an operator's word stay as they were.
        self._operator = random.Random(f"{seed}/operator")
        self._unproved: Counter[str] = Counter()
        self._traders: list[Trader] = []
        self._lives = 0

    def _world(self, seed: int, *, tracing: bool) -> World:
        return World(seed, tracing=tracing)

    def run(self) -> Outcome:
        world = self.world
        loop = world.loop
        asyncio.set_event_loop(loop)
        loop.set_exception_handler(self._unhandled)
        try:
            self._prepare()
            loop.run_until_complete(self._live())
        finally:
            world.is_over = True
            drop_tasks(loop)
            asyncio.set_event_loop(None)
            loop.close()
        statuses = world.statuses()
        return Outcome(
            seed=world.seed,
            violations=world.violations,
            met=Counter(
                (fault, state, statuses[name].value if name in statuses else NO_ROW)
                for state, fault, name in world.met
            ),
            orders=len(world.exchange.accepted),
            unproved=self._unproved,
            declarations=world.declarations,
            trace=world.trace or [],
        )

    def _unhandled(self, _: object, context: dict[str, Any]) -> None:
        # A dead machine's requests are answered, and no code is left to hear it.
        if "future" not in context:
            error = context.get("exception")
            self.world.violated(f"bug of the simulation: {context['message']}: {error!r}")

    # --- the plan ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        plan, loop = self._plan, self.world.loop
        # Long ones reach what is looked at each minute.
        self._lived_s = plan.uniform(*(_LONG_S if plan.random() < _LONG_SHARE else _LIVED_S))
        self._plan_faults()
        if self._operator.random() < _BLIND_SHARE:
            self._plan_blindness()
        for _ in range(self._operator.choice((0, 1, 2))):
            loop.world_later(self._operator.uniform(1, self._lived_s), self._declare)
        for _ in range(plan.choice((1, 1, 2))):
            loop.world_later(plan.uniform(0, 0.01), self._start)
        times = self._plan_decisions()
        for _ in range(plan.choice((0, 1, 3))):
            loop.world_later(plan.uniform(0.5, self._lived_s), self._cancel_one)
        for _ in range(plan.choice((0, 0, 0, 1, 2))):
            loop.world_later(plan.uniform(0.5, self._lived_s), self._owner_acts)
        if plan.random() < 0.4:
            # Often just when an order is on its way.
            at = plan.choice((plan.choice(times) + plan.uniform(-0.1, 0.3), plan.uniform(1, 40)))
            loop.world_later(max(at, 0.1), self._halt)
        if self._operator.random() < _UNHEARD_SHARE:
            self.world.unheard_halt = (self._operator.choice((1, 2, 3)), self._halt_unheard)
        if plan.random() < _RESTORED_SHARE:
            at = plan.uniform(1, self._lived_s)
            loop.world_later(at * plan.random(), self._back_up)
            loop.world_later(at, self._restore)

    def _plan_faults(self) -> None:
        plan, world = self._plan, self.world
        fates = [name for name in FATES if name not in KNOWN_HOLES]
        world.weather.fates = tuple(plan.sample(fates, plan.randint(0, 4)))
        world.weather.store = tuple(plan.sample(STORE_FAULTS, plan.choice((0, 0, 1, 2))))
        world.weather.often = plan.choice((0.1, 0.3, 0.6))
        for _ in range(plan.choice((0, 0, 1, 1, 2))):
            mark, nth, steps = plan.choice(_MARKS), plan.randint(1, 4), plan.randrange(4)
            world.kills.append(Kill(mark=mark, nth=nth, steps=steps))
        for _ in range(plan.choice((0, 0, 0, 1, 2))):
            at, long_s = plan.uniform(0.5, self._lived_s), plan.uniform(0.2, 30)
            world.loop.world_later(at, self._stop, long_s)

    def _plan_blindness(self) -> None:
        """Answers to requests get lost, and for minutes no order can be looked up."""
        world = self.world
        self._lived_s = self._operator.uniform(*_BLIND_S)
        world.weather.fates, world.weather.often = ("dropped after",), 0.6
        world.blind_until = self._lived_s
        world.loop.world_later(self._lived_s - 1, self._declare)

    def _plan_decisions(self) -> list[float]:
        """Return when something is decided."""
        plan, loop = self._plan, self.world.loop
        bought: set[Market] = set()
        times = sorted(plan.uniform(0.5, self._lived_s) for _ in range(plan.randint(2, 6)))
        for at in times:
            market = plan.choice(MARKETS)
            if plan.random() < 0.75:
                action = Action.SELL if market in bought and plan.random() < 0.6 else Action.BUY
                bought.add(market)
                loop.world_later(at, self._signal, market, action)
            else:
                loop.world_later(at, self._by_hand, market)
        return times

    # --- events --------------------------------------------------------------------------------

    def _start(self, home: str = "") -> None:
        self._lives += 1
        machine = Machine(f"machine-{self._lives}", on_death=self._died, home=home)
        ahead_s = self._plan.uniform(-40, 40) if self._plan.random() < 0.1 else 0.0
        trader = self._trader(machine, ahead_s=ahead_s)
        self._traders.append(trader)
        trader.start()

    def _trader(self, machine: Machine, *, ahead_s: float) -> Trader:
        return Trader(self.world, machine, ahead_s=ahead_s)

    def _died(self, machine: Machine) -> None:
        self.world.say(machine.name, "is killed")
        restart_s = self._plan.uniform(0.1, 15.0)
        self.world.loop.world_later(restart_s, self._start, machine.home)

    def _stop(self, long_s: float) -> None:
        alive = [trader for trader in self._traders if trader.machine.is_alive]
        if not alive:
            return
        machine = self._plan.choice(alive).machine
        if machine.is_stopped:
            return
        self.world.say(machine.name, f"stops for {long_s:.1f} s")
        self.world.meet("stopped")
        machine.stop()
        self.world.loop.world_later(long_s, self._resume, machine)

    def _resume(self, machine: Machine) -> None:
        self.world.say(machine.name, "goes on")
        self.world.loop.resumed(machine)

    def _halt(self) -> None:
        """An operator stops trading, wholly or in part; later maybe lets it go on."""
        what = self._plan.choice(("HALTED", "REDUCING", "SWITCHED OFF"))
        market = self._plan.choice((None, *MARKETS)) if what != "SWITCHED OFF" else None
        stop = Stop(since=self.world.loop.time(), what=what, market=market)
        self._change(stop, ends=False)
        self.world.stops.append(stop)
        self.world.meet(what.lower())
        if self._plan.random() < 0.6:
            self.world.loop.world_later(self._plan.uniform(1, 30), self._go_on, stop)

    def _halt_unheard(self, machine: Machine) -> None:
        """An operator halts just after a decision, and its process comes back too late to hear it.

        Only the order's insert can know: the next look at the state is due within two seconds.
        """
        stop = Stop(since=self.world.loop.time(), what="HALTED", market=None)
        # A reason of its own: the end of another halt must not be the end of this one.
        self._change(stop, ends=False, reason="unheard", heard_after_s=(_NEVER_S,))
        self.world.stops.append(stop)
        self.world.meet("halted")
        if machine.is_alive and not machine.is_stopped:
            self.world.say(machine.name, "stops, and goes on before it looks at the state again")
            machine.stop()
            self.world.loop.world_later(self._operator.uniform(1.02, 1.6), self._resume, machine)

    def _go_on(self, stop: Stop) -> None:
        stop.until = self.world.loop.time()
        self._change(stop, ends=True)

    def _change(
        self,
        stop: Stop,
        *,
        ends: bool,
        reason: str = "by hand",
        heard_after_s: Sequence[float] = (0.01, 0.5, 5.0, _NEVER_S),
    ) -> None:
        world = self.world
        world.say("operator", f"{'ends' if ends else 'begins'}: {stop.what} {stop.market or ''}")
        values: dict[str, Any] = {"reason": reason, "actor": "operator", "detail": {}}
        values |= {"at": world.exchange.now(), "market": stop.market}
        if stop.what == "SWITCHED OFF":
            world.settings["trading_enabled"] = ends
        elif ends:
            executed(world.states.resume(**values))
        else:
            executed(world.states.halt(kind=HALT_KINDS[stop.what], **values))
        name = TRADING_ENABLED.name if stop.what == "SWITCHED OFF" else TRADING_STATE
        for trader in self._traders:  # hears of it soon, late or never
            delay_s = self._plan.choice(heard_after_s)
            world.loop.world_later(delay_s, trader.hear_of, name)

    def _owner_acts(self) -> None:
        """The account's owner deposits, withdraws, or buys without this service."""
        world, plan = self.world, self._plan
        if plan.random() < 0.5:
            market, funds = plan.choice(MARKETS), Decimal(plan.randrange(10_000, 900_000))
            world.say("owner", f"buys {market} for {funds}")
            world.meet("owner buys")
            world.exchange.trade_by_hand(market, funds=funds)
            return
        currency = plan.choice(("KRW", *(market.base for market in MARKETS)))
        # Coins only come: those on the account may be locked by an order.
        sign = plan.choice((1, -1)) if currency == "KRW" else 1
        amount = sign * Decimal(plan.randrange(1, 9_000_000)).scaleb(0 if currency == "KRW" else -8)
        world.say("owner", f"deposits {amount} {currency}")
        world.meet("deposit")
        world.deposits.append((currency, amount))
        world.exchange.deposit(currency, amount)

    def _back_up(self) -> None:
        self._backup = Backup.of(self.world)

    def _restore(self) -> None:
        """The database is set back to its backup while nothing runs."""
        world = self.world
        for trader in self._traders:
            trader.machine.kill()
        world.say("operator", "restores the backup")
        world.meet("backup restored")
        world.restores += 1
        self._backup.restore(world)
        for stop in world.stops:
            stop.until = min(stop.until, world.loop.time())

    def _declare(self) -> None:
        """An operator says of every unknown order that it was never placed, true or not."""
        for row in unknown(self.world):
            self.world.say("operator", f"says that {row.identifier} was never placed")
            for trader in self._traders:
                trader.not_placed(row)

    def _cancel_one(self) -> None:
        """Somebody cancels an order in the exchange's own app."""
        exchange = self.world.exchange
        exchange.advance()
        resting = [o for o in exchange.engine.orders.values() if o.state == "wait"]
        if resting:
            order = self._plan.choice(resting)
            self.world.meet("cancelled in the app", order.request.identifier)
            exchange.engine.cancel(order, exchange.now())

    def _signal(self, market: Market, action: Action) -> None:
        self.world.say("schedule", f"{action} {market}")
        for trader in self._traders:
            trader.signal(market, action)

    def _by_hand(self, market: Market) -> None:
        price = self.world.exchange.price(market)
        limit = decimal(rounded(units(price * _RESTING)))
        volume = (self._plan.choice(_FUNDS) / limit).quantize(Decimal("1E-8"))
        intent = Intent(
            market=market,
            side=Side.BUY,
            type=OrderType.LIMIT,
            price=limit,
            volume=volume,
        )
        self.world.say("operator", f"buys {volume} of {market} at {limit}")
        for trader in self._traders:
            trader.by_hand(intent)

    # --- the run -------------------------------------------------------------------------------

    async def _live(self) -> None:
        world = self.world
        await asyncio.sleep(self._lived_s)
        world.say("history", "the faults are over")
        world.is_healing = True
        world.store_down_until = 0.0
        self._cancel_resting()
        await self._until(lambda: not world.under_way and not unsettled(world), HEALING_S)
        for sentence in broken(world):
            world.violated(sentence)
        world.is_quiet = True
        await self._until(lambda: not unknown(world), PROVED_S)
        for row in unknown(world):
            reason = hidden_by(world, row)
            self._unproved[reason or "nothing"] += 1
            if reason is None:
                world.violated(f"{row.identifier} is UNKNOWN, and nothing hides that it is absent")
        await self._until(lambda: not unknown(world), DECLARED_S, each=self._declare)
        await self._until(lambda: not unsettled(world), HEALING_S)
        for sentence in (*broken(world), *unsettled(world), *undeclared(world)):
            world.violated(sentence)

    async def _until(
        self, is_so: Callable[[], bool], within_s: float, *, each: Callable[[], None] | None = None
    ) -> None:
        """Let time pass until it is so, or for so long, or until an invariant is broken."""
        world = self.world
        ends_at = world.loop.time() + within_s
        while not is_so() and world.loop.time() < ends_at and not world.violations:
            if each is not None:
                each()
            await asyncio.sleep(LOOK_EVERY_S)
            self._cancel_resting()

    def _cancel_resting(self) -> None:
        """As an operator in the exchange's app: whatever rests on the book ends now."""
        exchange = self.world.exchange
        exchange.advance()
        for order in [o for o in exchange.engine.orders.values() if o.state == "wait"]:
            exchange.engine.cancel(order, exchange.now())


def run(seed: int, *, tracing: bool = False) -> Outcome:
    return History(seed, tracing=tracing).run()
