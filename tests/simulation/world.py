"""What a history consists of besides the code under test, and what may happen to it."""

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import inf
from typing import Final

from service.domain.markets import Market
from service.domain.orders import OPEN, Order, OrderStatus, Side
from service.ports.exit_journal import JournaledExit
from service.ports.store import JSON, ModelCall
from tests.builders import T0
from tests.fakes.account_books import AccountBooksTwin
from tests.fakes.equities import FakeEquities
from tests.fakes.exit_journal import FakeExitJournal
from tests.fakes.loss_days import FakeLossDays
from tests.fakes.market_data import FakeMarketData
from tests.fakes.order_sweep import FakeSweptOrders
from tests.fakes.orders import FakeOrders
from tests.fakes.protections import FakeProtections
from tests.fakes.signals import FakeSignals
from tests.fakes.state import FakeTradingState
from tests.fakes.tables import Tables
from tests.simulation.exchange import ExchangeSite
from tests.simulation.fates import FATES, Kind
from tests.simulation.loop import SimulatedLoop
from tests.simulation.loss_days import begun_with
from tests.simulation.machine import Machine

#: Seconds from the commit of an order's row to its request at most.
SENT_WITHIN_S: Final = 1.0
#: Seconds from the commit of a halt or of the switch to the last possible request.
STOPS_WITHIN_S: Final = 1.0
#: The mark of a decision that is stored.
DECIDED: Final = "signals.add_decision.committed"
#: The state of an order that has no row yet.
NO_ROW: Final = "no row"


#: Makes the exchange of a history: of what tells its seconds, and of what draws its market.
SiteOf = Callable[[Callable[[], float], random.Random], ExchangeSite]
#: Every signal names the model's call that it came from; here there is one for all.
A_CALL: Final = ModelCall(
    model="scripted",
    purpose="signal",
    started_at=T0,
    duration_ms=1.0,
    outcome="ok",
    why=None,
    answer=None,
    cost_usd=None,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaving:
    """An order request that left its machine."""

    at: float
    identifier: str
    machine: str
    side: str


@dataclass(slots=True, kw_only=True)
class Stop:
    """An operator's halt or switch, as an oracle of its own sees it."""

    since: float
    what: str  #: HALTED, REDUCING, or SWITCHED OFF
    market: Market | None = None
    until: float = inf

    def forbids(self, order: Order, at: float) -> bool:
        """Whether `order` must not leave at the instant `at`."""
        if self.market not in {None, order.market}:
            return False
        if not self.since + STOPS_WITHIN_S < at < self.until:
            return False
        is_signal = order.decision_id is not None
        return (
            self.what == "HALTED"
            or order.intent.side is Side.BUY
            or (self.what == "SWITCHED OFF" and is_signal)
        )


class JournalTwin(FakeExitJournal):
    """A file of exits; the world sees when a line is on the disk."""

    def __init__(self, world: "World") -> None:
        super().__init__()
        self._world = world

    async def append(self, order: JournaledExit) -> None:
        await super().append(order)
        self._world.journaled[order.identifier] = order
        self._world.written_at[order.identifier] = self._world.loop.time()
        self._world.say("file", f"{order.identifier} is written")


@dataclass(slots=True)
class Weather:
    """Which faults a history has, and how often.

    Attributes:
        fates: of requests, by name.
        store: of statements, by name.
        often: the share of requests and statements with a fault.
    """

    fates: tuple[str, ...] = ()
    store: tuple[str, ...] = ()
    often: float = 0.0


@dataclass(slots=True)
class Kill:
    """A planned death: so many steps after something happened for the n-th time."""

    mark: str
    nth: int
    steps: int


class World:
    """One history's shared facts: exchange, database, and who is alive.

    Attributes:
        chance: of everything that is drawn while the history runs.
        under_way: requests that the exchange has yet to execute.
        stops: the operator's halts and switches.
        deposits: of the account's owner: currency and amount.
        restores: how often the database was set back to a backup.
        is_alone: whether the database is the process's own: no other one can hold its lease.
        journaled: every exit that stands in a file, before it has a row, by its identifier.
        is_quiet: whether everything has agreed after the faults, and more time passes.
        is_over: whether its tasks are being dropped: what they then meet says nothing.
        blind_until: until when every look-up of one order fails.
        rest_down_until, store_down_until: until when neither answers anything.
        settings: the stored ones.
        unheard_halt: what happens as soon as so many decisions are stored.
        violations: broken invariants, one sentence each.
        last_fault_at: when something went wrong the last time, the operator's acts included.
        order_leaves: called with the row of each order whose request leaves now.
    """

    def __init__(self, seed: int, *, tracing: bool = False, site: SiteOf = ExchangeSite) -> None:
        self.seed = seed
        self.chance = random.Random(f"{seed}/world")
        self.loop = SimulatedLoop(random.Random(f"{seed}/loop"))
        self.exchange = site(
            self.loop.time,
            random.Random(f"{seed}/market"),
        )
        self.tables = Tables(seconds=self.loop.time, settings=lambda: self.settings)
        self.orders = FakeOrders(tables=self.tables)
        self.states = FakeTradingState(self.tables)
        self.account_books = AccountBooksTwin(self.orders)
        self.swept = FakeSweptOrders(self.orders)
        self.market_data = FakeMarketData()
        self.equities = FakeEquities()
        self.loss_days: FakeLossDays = begun_with(self.exchange, self.orders)
        self.protections = FakeProtections()
        self.is_alone = False
        self.journaled: dict[str, JournaledExit] = {}
        self._journals: dict[str, dict[str, JournaledExit]] = {}
        self.signals = FakeSignals(tables=self.tables)
        self.weather = Weather()
        self.kills: list[Kill] = []
        self.marks: Counter[str] = Counter()
        self.unheard_halt: tuple[int, Callable[[Machine], None]] | None = None
        self.is_healing = False
        self.under_way = 0
        self.written_at: dict[str, float] = {}
        self.store_down_until = 0.0
        self.rest_down_until = 0.0
        self.signals.calls.append(A_CALL)
        self._identifiers = 0
        self.declarations = 0
        self._banned_until: dict[str, float] = {}
        self.leavings: list[Leaving] = []
        self.stops: list[Stop] = []
        self.deposits: list[tuple[str, Decimal]] = []
        self.restores = 0
        self.is_quiet = False
        self.is_over = False
        self.blind_until = 0.0
        self.settings: dict[str, JSON] = {
            "trading_enabled": True,
            # Purchases larger than the best level of the book: most are filled in part.
            "max_slippage_pct": "0",
            "position_size_min_pct": "15",
            "position_size_max_pct": "15",
        }
        self.violations: list[str] = []
        self.last_fault_at = 0.0
        self.order_leaves: Callable[[Order], None] = lambda _: None
        self.met: list[tuple[str, str, str | None]] = []
        self.trace: list[str] | None = [] if tracing else None

    def exit_journal(self, machine: Machine) -> FakeExitJournal:
        """Return the file of the machine's home, with what an earlier process left in it."""
        journal = JournalTwin(self)
        journal.orders = self._journals.setdefault(machine.home, {})
        return journal

    def new_identifier(self) -> str:
        self._identifiers += 1
        return str(self._identifiers)

    def say(self, who: str, text: str) -> None:
        if self.trace is not None:
            self.trace.append(f"{self.loop.time():9.3f}  {who:<9} {text}")

    def violated(self, sentence: str) -> None:
        if self.is_over:
            return
        self.say("INVARIANT", sentence)
        self.violations.append(sentence)

    # --- faults --------------------------------------------------------------------------------

    def draw_fate(self, kind: Kind, identifier: str | None) -> str | None:
        """Return the name of the next request's fate; None is the good one."""
        weather = self.weather
        if self.loop.time() < self.rest_down_until:
            self.meet("exchange away", identifier)
            return "refused connection"
        if kind is Kind.FIND and self.loop.time() < self.blind_until:
            self.meet("look-ups away", identifier)
            return "503 before"
        if self.is_healing or self.chance.random() >= weather.often:
            return None
        due = [name for name in weather.fates if kind in FATES[name].kinds]
        if not due:
            return None
        name = self.chance.choice(due)
        self.meet(name, identifier)
        self.say("network", f"the next {kind} {identifier or ''} is: {name}")
        return name

    def draw_store_fault(self) -> str | None:
        weather = self.weather
        if self.is_healing or not weather.store or self.chance.random() >= weather.often:
            return None
        return self.chance.choice(weather.store)

    def meet(self, fault: str, identifier: str | None = None) -> None:
        """Count that `fault` met the order, or the newest open order, in its present state."""
        self.last_fault_at = self.loop.time()
        row = self.row(identifier)
        state = NO_ROW if row is None else row.status.value
        self.met.append((state, fault, None if row is None else row.identifier))

    def row(self, identifier: str | None) -> Order | None:
        """Return the order's row; without an identifier that of the newest open order."""
        rows = reversed(self.orders.rows.values())
        if identifier is None:
            return next((row for row in rows if row.status in OPEN), None)
        return next((row for row in rows if row.identifier == identifier), None)

    def mark(self, machine: Machine, name: str) -> None:
        """Something happened that a kill may be planned after."""
        if self.is_healing:
            return
        self.marks[name] += 1
        for kill in self.kills:
            if kill.mark == name and kill.nth == self.marks[name] and machine.is_alive:
                machine.kill_after(kill.steps)
                self.meet(f"killed after {name}")
        if self.unheard_halt and name == DECIDED and self.marks[name] == self.unheard_halt[0]:
            self.loop.world_later(0, self.unheard_halt[1], machine)

    # --- what the invariants need ---------------------------------------------------------------

    def leaves(self, machine: Machine, kind: Kind, params: Mapping[str, str]) -> None:
        """Take note of a request that leaves its machine now."""
        self.mark(machine, f"{kind}.left")
        if kind is not Kind.POST:
            return
        self.say(machine.name, f"sends {params}")
        self.leavings.append(
            Leaving(
                at=self.loop.time(),
                identifier=params["identifier"],
                machine=machine.name,
                side=params["side"],
            )
        )
        self._check_lease(machine, params["identifier"])
        self._check_row(params["identifier"])

    def _check_lease(self, machine: Machine, identifier: str) -> None:
        if self.is_alone and identifier in self.journaled:
            return  # without the database its lease lapses, and no other process can take it
        lease = self.tables.lease
        if lease.owner != machine.name or lease.expires_at <= self.loop.time():
            self.violated(f"{identifier} was sent by {machine.name} without the lease")

    def _check_row(self, identifier: str) -> None:
        row = self.row(identifier) or self._journaled(identifier)
        if row is None:
            self.violated(f"{identifier} was sent before its row was committed")
            return
        for stop in self.stops:
            if stop.forbids(row, self.loop.time()):
                late_s = self.loop.time() - stop.since
                self.violated(f"{identifier} was sent {late_s:.1f} s after {stop.what}")
        self.order_leaves(row)
        age_s = self.loop.time() - self.written_at.get(identifier, 0.0)
        if age_s > SENT_WITHIN_S:
            self.violated(f"{identifier} was sent {age_s:.1f} s after its row was committed")

    def _journaled(self, identifier: str) -> Order | None:
        """Return the exit that stands in a file and has no row yet."""
        entry = self.journaled.get(identifier)
        if entry is None:
            return None
        return Order(
            id=0,
            identifier=identifier,
            intent=entry.intent,
            status=OrderStatus.PENDING,
            decision_id=None,
            created_at=entry.at,
            rule=entry.breach.rule,
        )

    def arrived(self, identifier: str) -> None:
        """The exchange has accepted an order: no rule may have declared it failed before."""
        row = self.row(identifier)
        if row is not None and row.status is OrderStatus.FAILED:
            self.violated(f"{identifier} counted as {row.reason} and arrived after all")

    def declared(self, identifier: str) -> None:
        """An operator's word that the order was never placed has counted."""
        self.say("operator", f"{identifier} was never placed")
        self.meet("operator's word", identifier)
        self.declarations += 1
        if identifier in self.exchange.accepted:
            self.violated(f"{identifier} was declared as never placed, and the exchange has it")

    def banned(self, machine: Machine, seconds: float) -> None:
        """The machine has heard that the exchange blocks it for so long."""
        until = self.loop.time() + seconds
        self._banned_until[machine.name] = max(until, self._banned_until.get(machine.name, 0.0))

    def check_ban(self, machine: Machine) -> None:
        left_s = self._banned_until.get(machine.name, 0.0) - self.loop.time()
        if left_s > 0:
            self.violated(f"{machine.name} sends although it is blocked for {left_s:.1f} s more")

    def statuses(self) -> dict[str, OrderStatus]:
        return {row.identifier: row.status for row in self.orders.rows.values()}
