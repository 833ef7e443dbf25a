"""A history about prices: positions are opened, the market jumps, and the feed goes or lies."""

from collections import Counter
from typing import Final

from service.domain.alerts import Alert, Notice
from service.domain.markets import Market
from service.domain.orders import Side
from service.domain.risk.verdicts import Refused
from service.domain.signals import Action
from service.domain.trading_states import TradingStatus
from service.ports.store import JSON
from tests.simulation.exchange import MARKETS
from tests.simulation.fates import FATES
from tests.simulation.history import History, Outcome
from tests.simulation.loss_days import LossDaysTwin
from tests.simulation.machine import Machine
from tests.simulation.price_invariants import PriceOracle
from tests.simulation.priced import LIES, STEPS, PricedSite, Quotation, Spell
from tests.simulation.store import STORE_FAULTS
from tests.simulation.trader import NOT_RUN, OF_PRICES, Trader
from tests.simulation.world import Kill, SiteOf, World

_NOT_RUN: Final = NOT_RUN - OF_PRICES
_LIVED_S: Final = (60.0, STEPS * 10.0 - 100)
#: A lie is over before several trades in a row have told it.
_LIE_S: Final = (1.0, 9.0)
_SILENCE_S: Final = (5.0, 120.0)
_TOLD_EVERY_S: Final = (0.5, 3.0)
_SOLD_S: Final = 60.0  #: after all faults, until nothing is below its stop
_LOOK_S: Final = 2.0
_MARKS: Final = (
    "orders.add.left", "orders.add.committed", "orders.advance.committed", "post.left",
    "post.executed", "post.answered",
)  # fmt: skip


class PriceHistory(History):
    """The same service, the same faults but fewer, and prices that move.

    Attributes:
        alerts: the key of each alert and when it came, oldest first.
    """

    site: PricedSite
    oracle: PriceOracle

    def __init__(self, seed: int, *, tracing: bool = False) -> None:
        super().__init__(seed, tracing=tracing)
        self.alerts: list[tuple[float, str]] = []
        self._standing: set[str] = set()

    def _world(self, seed: int, *, tracing: bool) -> World:
        world = World(seed, tracing=tracing, site=self._new_site())
        assert isinstance(world.exchange, PricedSite)
        self.site = world.exchange
        self.oracle = PriceOracle(world, self.site, self._can_sell, self._told_since)
        world.loss_days = LossDaysTwin(world.equities, world.orders)
        world.order_leaves = self.oracle.leaves
        return world

    def _new_site(self) -> SiteOf:
        return PricedSite

    def _trader(self, machine: Machine, *, ahead_s: float) -> Trader:
        trader = Trader(self.world, machine, ahead_s=ahead_s, not_run=_NOT_RUN)
        buffer = trader.services.alert_monitor._alert_buffer
        add = buffer.add

        def noted(notice: Notice) -> Notice | None:
            if isinstance(notice, Alert):
                self.alerts.append((self.world.loop.time(), notice.key))
                self._standing.add(notice.key)
                self.world.say(machine.name, f"alert {notice.key}")
            else:
                self._standing.discard(notice.key)
            return add(notice)

        buffer.add = noted  # type: ignore[method-assign]
        return trader

    def _can_sell(self, market: Market) -> bool:
        """Whether a process trades, and no halt forbids what a rule sells."""
        trades = any(
            trader.machine.is_alive
            and not trader.machine.is_stopped
            and trader.services.leadership.may_trade
            for trader in self._traders
        )
        return trades and self.world.tables.trading_state.of(market) is not TradingStatus.HALTED

    def _told_since(self, market: Market, since: float) -> bool:
        """Whether an alert has said that the position is not watched, or not sold."""
        told = {key for at, key in self.alerts if at >= since} | self._standing
        return any(key.startswith(f"position:{market}:") for key in told)

    def _start(self, home: str = "") -> None:
        super()._start(home)
        self.world.last_fault_at = self.world.loop.time()

    def _resume(self, machine: Machine) -> None:
        super()._resume(machine)
        self.world.last_fault_at = self.world.loop.time()

    def _owner_acts(self) -> None:
        super()._owner_acts()
        self.oracle.owner_acted_at = self.world.loop.time()

    def run(self) -> Outcome:
        outcome = super().run()
        outcome.acts = self._acts()
        return outcome

    def _acts(self) -> Counter[str]:
        """Count what was tried, and what came of it."""
        world, site = self.world, self.site
        acts = Counter({f"price: {name}": times for name, times in site.moves.items()})
        for spell in site.spells:
            acts[f"{spell.way}: {spell.lie or 'silence'}"] += 1
        for row in world.orders.rows.values():
            if row.executed_volume and row.intent.side is Side.BUY:
                acts["bought"] += 1
            elif row.rule is not None:
                acts[f"{row.rule}: {row.status}"] += 1
        acts.update(
            f"refused: {decided.verdict.reason}"
            for decided in world.signals.decisions
            if isinstance(decided.verdict, Refused)
        )
        acts.update(
            f"halted: {reason}" for event, reason, _ in world.states.events if event == "HALTED"
        )
        acts["sold from the file"] = len(world.journaled)
        for _, key in self.alerts:
            if key.startswith("position:"):
                acts[f"alert: {key.rpartition(':')[2]}"] += 1
        return acts

    # --- the run -------------------------------------------------------------------------------

    async def _live(self) -> None:
        self.world.loop.world_later(_LOOK_S, self._look)
        for market in MARKETS:
            self._tell(market)
        await super()._live()
        await self._until(lambda: not list(self.oracle.unsold()), _SOLD_S)
        for sentence in self.oracle.unsold():
            self.world.violated(sentence)

    def _look(self) -> None:
        self.oracle.look(_LOOK_S)
        self.world.loop.world_later(_LOOK_S, self._look)

    def _tell(self, market: Market) -> None:
        """Send the market's ticker on the feed, now and again and again."""
        ticker = self.site.ticker(market, Quotation.STREAM)
        if ticker is not None:
            for trader in self._traders:
                trader.told(ticker)
        again_s = self.world.chance.uniform(*_TOLD_EVERY_S)
        self.world.loop.world_later(again_s, self._tell, market)

    # --- the plan ------------------------------------------------------------------------------

    def _prepare(self) -> None:
        plan, loop = self._plan, self.world.loop
        self._lived_s = plan.uniform(*_LIVED_S)
        self.world.settings |= self._limits()
        self._plan_faults()
        self._plan_spells()
        self._plan_outages()
        processes = plan.choice((1, 1, 1, 2))
        # The embedded server's, where no other process can hold the lease.
        self.world.is_alone = processes == 1 and plan.random() < 0.5
        for _ in range(processes):
            loop.world_later(plan.uniform(0, 0.01), self._start)
        for _ in range(plan.randint(3, 9)):
            at = plan.uniform(2, self._lived_s)
            action = Action.SELL if plan.random() < 0.15 else Action.BUY
            loop.world_later(at, self._signal, plan.choice(MARKETS), action)
        for _ in range(plan.choice((0, 0, 0, 1))):
            loop.world_later(plan.uniform(0.5, self._lived_s), self._owner_acts)
        if plan.random() < 0.15:
            loop.world_later(plan.uniform(1, self._lived_s), self._halt)

    def _limits(self) -> dict[str, JSON]:
        """Return the operator's limits: narrow enough to be met."""
        plan = self._plan
        size = plan.choice((5, 15, 30))
        return {
            "position_size_min_pct": "1",
            "position_size_max_pct": str(size),
            "max_position_pct": str(plan.choice((size, 30, 60))),
            "max_exposure_pct": str(plan.choice((40, 60, 100))),
            "max_order_krw": plan.choice((None, None, "4000000")),
            "max_daily_order_krw": plan.choice((None, None, "20000000")),
            "max_orders_per_hour": plan.choice((3, 12, 12)),
            "max_slippage_pct": plan.choice(("0.3", "1")),
            "stop_loss_pct": plan.choice(("1", "3", "5", "8")),
            "take_profit_pct": plan.choice((None, None, "4")),
            "trailing_stop_pct": plan.choice((None, None, "3")),
            "daily_loss_limit_pct": plan.choice(("0.3", "1", "5")),
            "volatility_threshold_pct": plan.choice(("2", "10", "100")),
            "volatility_window_minutes": plan.choice((2, 5)),
            "volatility_auto_resume_minutes": plan.choice((None, 1)),
        }

    def _plan_faults(self) -> None:
        plan, world = self._plan, self.world
        if plan.random() < 0.6:
            world.weather.fates = tuple(plan.sample(list(FATES), plan.randint(1, 3)))
            world.weather.often = plan.choice((0.05, 0.1, 0.3))
        if plan.random() < 0.3:
            world.weather.store = tuple(plan.sample(STORE_FAULTS, 1))
        for _ in range(plan.choice((0, 0, 0, 1))):
            mark, nth, steps = plan.choice(_MARKS), plan.randint(1, 3), plan.randrange(4)
            world.kills.append(Kill(mark=mark, nth=nth, steps=steps))
        if plan.random() < 0.1:
            at, long_s = plan.uniform(0.5, self._lived_s), plan.uniform(0.2, 30)
            world.loop.world_later(at, self._stop, long_s)

    def _plan_spells(self) -> None:
        """Draw when prices do not come, and when they are lies: never two lies at once."""
        plan = self._plan
        for market in MARKETS:
            at = plan.uniform(0, 30)
            for _ in range(plan.choice((0, 1, 2, 4))):
                until = at + plan.uniform(*_LIE_S)
                self._spell(
                    market, plan.choice(tuple(Quotation)), at, until, plan.choice(tuple(LIES))
                )
                at = until + plan.uniform(20, 100)
            for way in Quotation:
                if plan.random() < 0.2:
                    begin = plan.uniform(0, self._lived_s)
                    self._spell(market, way, begin, begin + plan.uniform(*_SILENCE_S), None)

    def _plan_outages(self) -> None:
        """Draw when the database or the exchange's REST is away: mostly as a market falls."""
        plan = self._plan
        falls = [at for market in MARKETS for at in self.site.falls(market)]
        for away, share in ((self._without_store, 0.5), (self._without_rest, 0.15)):
            for at in plan.sample(falls, min(len(falls), 2)) if plan.random() < share else ():
                begin = max(1.0, at - plan.uniform(-2, 9))
                long_s = plan.uniform(3, 20) if plan.random() < 0.6 else plan.uniform(20, 120)
                self.world.loop.world_later(begin, away, long_s)

    def _without_store(self, long_s: float) -> None:
        self.world.meet("database away")
        self.world.say("world", f"the database is away for {long_s:.0f} s")
        self.world.store_down_until = min(self.world.loop.time() + long_s, self._lived_s)

    def _without_rest(self, long_s: float) -> None:
        self.world.meet("exchange away")
        self.world.say("world", f"the exchange is away for {long_s:.0f} s")
        self.world.rest_down_until = min(self.world.loop.time() + long_s, self._lived_s)

    def _spell(
        self, market: Market, way: Quotation, since: float, until: float, lie: str | None
    ) -> None:
        until = min(until, self._lived_s)
        self.site.spells.append(Spell(since=since, until=until, way=way, market=market, lie=lie))


def run(seed: int, *, tracing: bool = False) -> Outcome:
    return PriceHistory(seed, tracing=tracing).run()
