"""The rows that the store's fakes share, as the tables of one database are shared."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from service.domain.markets import Market
from service.domain.model_budget import DaySpending
from service.domain.orders import Breach
from service.domain.trading_states import TradingStatus, strictest
from service.ports.store import JSON, Halt, TradingState
from tests.builders import T0


@dataclass(slots=True)
class LeaseRow:
    owner: str = ""
    epoch: int = 0
    expires_at: float = 0.0  #: by the clock of `Tables.seconds`


@dataclass(slots=True)
class Tables:
    """What a database keeps while processes come and go.

    Attributes:
        seconds: the database's clock, by which leases expire.
        halts: those that stand, oldest first.
        active_since: when the last halt of all markets ended.
        settings: the stored ones, by key.
        refusals: (rule, status) of each order that was refused as it was written.
        exits: the order of each rule that sold, and why.
        ordered: the decisions that have an order.
        lapsed: why each decision that will get none has none.
        spent: on model calls, by Korean day.
    """

    seconds: Callable[[], float] = lambda: 0.0
    lease: LeaseRow = field(default_factory=LeaseRow)
    halts: list[Halt] = field(default_factory=list)
    active_since: datetime = T0
    settings: Callable[[], Mapping[str, JSON]] = lambda: {"trading_enabled": True}
    refusals: list[tuple[str, str]] = field(default_factory=list)
    exits: list[tuple[int, Breach]] = field(default_factory=list)
    ordered: set[int] = field(default_factory=set)
    lapsed: dict[int, str] = field(default_factory=dict)
    spent: dict[date, DaySpending] = field(default_factory=dict)

    def holds(self, epoch: int) -> bool:
        """Whether the lease of `epoch` is in force."""
        return self.lease.epoch == epoch and self.lease.expires_at > self.seconds()

    def status(self, market: Market) -> TradingStatus:
        """Return the strictest state that holds in `market`, the setting's included."""
        is_on = self.settings().get("trading_enabled") is True
        switch = TradingStatus.ACTIVE if is_on else TradingStatus.DISABLED
        return strictest((self.trading_state.of(market), switch))

    @property
    def standing(self) -> list[Halt]:
        """Return the halts in the order of the port."""
        return sorted(
            self.halts,
            key=lambda halt: (halt.kind != "HALTED", str(halt.market or ""), halt.since),
        )

    @property
    def trading_state(self) -> TradingState:
        worst = next((halt for halt in self.standing if halt.market is None), None)
        return TradingState(
            state=worst.kind if worst else TradingStatus.ACTIVE,
            reason=worst.reason if worst else None,
            since=worst.since if worst else self.active_since,
            halted_by=worst.actor if worst else None,
            reducing_markets=self._markets(TradingStatus.REDUCING),
            halted_markets=self._markets(TradingStatus.HALTED),
        )

    def _markets(self, strictest_kind: TradingStatus) -> frozenset[Market]:
        return frozenset(
            one.market
            for one in self.halts
            if one.market is not None
            and strictest(halt.kind for halt in self.halts if halt.market == one.market)
            is strictest_kind
        )
