"""What the risk rules read: the operator's limits, and the facts of one instant."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final

from service.domain.markets import Balance, BestPrices, MarketRules
from service.domain.orders import ZERO
from service.domain.positions import Position
from service.domain.prices import PriceDoubt
from service.domain.trading_states import (
    DAILY_LOSS,
    VOLATILITY,
    HaltKind,
    OrderSource,
    TradingStatus,
    strictest,
)

#: Halts that a limit of the operator made: each is a rule of its own.
_BY_LIMIT: Final = frozenset({DAILY_LOSS, VOLATILITY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The operator's limits, read from the settings at one instant."""

    trading_enabled: bool
    min_confidence: Decimal  #: 0..1
    position_size_min_pct: Decimal  #: of free money and our positions, for the least confident
    position_size_max_pct: Decimal  #: of the same, for the most confident signal
    max_position_pct: Decimal  #: of the capital, held in one market at most
    max_exposure_pct: Decimal  #: of money and our positions, in all markets together
    max_order_krw: Decimal | None  #: for one purchase; None: no cap
    max_daily_order_krw: Decimal | None  #: for the purchases of a Korean day; None: no cap
    stop_loss_pct: Decimal  #: below the average price
    max_slippage_pct: Decimal  #: above the best price, for an entry
    max_price_jump_pct: Decimal  #: how far the best price may be from the last one
    max_orders_per_hour: int  #: in all markets together
    signal_max_age_s: int  #: an older signal is not acted upon


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingHalt:
    """A halt of this market or of all markets, as a rule shows it."""

    kind: HaltKind
    reason: str
    limit: str | None = None  #: of the condition that made it
    actual: str | None = None
    until: datetime | None = None  #: None: it is not known, or an operator ends it


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The facts that a verdict depends on."""

    price: Decimal
    #: Why the newest word on the price is none to trade on; None: it is one.
    price_doubt: PriceDoubt | None = None
    price_age_s: float | None = None  #: of the last trade; None: no trade is believed
    price_max_age_s: float | None = None
    best: BestPrices | None = None  #: asked for where a signal wants to buy
    position: Position
    quote: Balance  #: the money of the market
    base: Balance  #: its coins
    rules: MarketRules
    open_orders: int  #: of ours in this market, those of unknown outcome included
    orders_last_hour: int = 0  #: of ours in all markets, in any status
    signal_age_s: float = 0.0
    source: OrderSource = OrderSource.SIGNAL
    status: TradingStatus = TradingStatus.ACTIVE  #: by the halts of this market and of all
    halted: str | None = None  #: the reason of the halt, None without one
    halts: Collection[StandingHalt] = ()  #: those that `status` is the sum of
    #: Limits that cannot be judged, by the reason of their halts, and why.
    doubts: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Decimal = ZERO  #: what our positions in the other markets of this money are worth
    on_order: Decimal = ZERO  #: money of our open purchases, in all markets of this money
    known_equity: Decimal | None = None  #: in quote money, as last stored; None: none is stored
    krw_per_quote: Decimal | None = Decimal(1)  #: None: no price is known
    #: For this Korean day's purchases, open ones included; None: a price is not known.
    bought_today_krw: Decimal | None = ZERO
    day_ends_at: datetime | None = None  #: of the Korean day

    @property
    def coins(self) -> Decimal:
        """Return the coins of this market that limits count.

        An answer of the exchange may leave them out. Those that this service bought are there.
        """
        return max(self.base.total, self.position.volume)

    @property
    def capital(self) -> Decimal:
        """Return money and coins of this market, in money at the current price."""
        return self._known(self.quote.total + self.coins * self.price)

    @property
    def size_base(self) -> Decimal:
        """Return free money and our positions, without the operator's own coins."""
        return self._known(self.quote.available + self.invested)

    @property
    def exposure_base(self) -> Decimal:
        """Return all money and our positions."""
        return self._known(self.quote.total + self.invested)

    @property
    def exposure(self) -> Decimal:
        """Return our positions and open purchases: what is bought, and what may be soon."""
        return self.invested + self.on_order

    @property
    def invested(self) -> Decimal:
        """Return what our positions are worth, in all markets of this money."""
        return self.position.volume * self.price + self.elsewhere

    def halts_by(self, reason: str) -> Collection[StandingHalt]:
        return [halt for halt in self.halts if halt.reason == reason]

    @property
    def status_by_hand(self) -> TradingStatus:
        """Return the trading state without the halts that have a rule of their own.

        Where the halts do not explain the state, they were read before or after it: it counts.
        """
        if strictest(halt.kind for halt in self.halts) is not self.status:
            return self.status
        return strictest(halt.kind for halt in self.halts if halt.reason not in _BY_LIMIT)

    def _known(self, amount: Decimal) -> Decimal:
        """Return `amount`, and no more than the account was last known to be worth."""
        return amount if self.known_equity is None else min(amount, self.known_equity)
