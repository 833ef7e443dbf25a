"""One crash, replayed from candles at the speed of a computer, with parts of the world away."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from service.domain.markets import Market
from service.domain.signals import Action
from service.ports.store import JSON
from service.sandbox.exchange.orders import SandboxTrade
from tests.builders import KRW_BTC
from tests.simulation.crash import candles, prints
from tests.simulation.exchange import ExchangeSite
from tests.simulation.price_history import PriceHistory
from tests.simulation.priced import PricedSite, Quotation
from tests.simulation.truth import ZERO
from tests.simulation.world import SiteOf

#: What may be away while the market crashes; the model is asked for nothing by a rule.
AWAY: Final = ("stream", "REST", "PostgreSQL")
CALM_MINUTES: Final = 2
_BOUGHT_AT_S: Final = 20.0
_AWAY_FROM_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """What happens, and what is away from before it until so many seconds after it began.

    Attributes:
        closes: of each minute, in parts of the price before.
        away: of `AWAY`.
        gap: between two levels of the book, 0.001 is a tenth of a per cent.
    """

    closes: Sequence[float]
    stop_loss_pct: str = "5"
    away: frozenset[str] = frozenset()
    away_s: float = 0.0
    gap: float = 0.0

    @property
    def lasts_s(self) -> float:
        return 60.0 * (CALM_MINUTES + len(self.closes))


class _CrashSite(PricedSite):
    crash: Crash

    def draw(self, rng: random.Random, market: Market) -> tuple[Sequence[int], Counter[str]]:
        file = candles(self.crash.closes if market == KRW_BTC else (), calm_minutes=CALM_MINUTES)
        return prints(file, market), Counter()


def _site_of(crash: Crash) -> SiteOf:
    def made(seconds: Callable[[], float], rng: random.Random) -> ExchangeSite:
        kind = type("CrashSite", (_CrashSite,), {"crash": crash})
        site: PricedSite = kind(seconds, rng)
        site.depth.gap = crash.gap
        return site

    return made


class CrashHistory(PriceHistory):
    """Buys, and then lives through the crash."""

    def __init__(self, crash: Crash, *, seed: int = 1, tracing: bool = False) -> None:
        self.crash = crash
        super().__init__(seed, tracing=tracing)

    def _new_site(self) -> SiteOf:
        return _site_of(self.crash)

    def _prepare(self) -> None:
        loop, crash = self.world.loop, self.crash
        self._lived_s = crash.lasts_s
        self.world.settings |= self._limits()
        loop.world_later(0.0, self._start)
        loop.world_later(_BOUGHT_AT_S, self._signal, KRW_BTC, Action.BUY)
        loop.world_later(_AWAY_FROM_S, self._go_away)

    def _limits(self) -> dict[str, JSON]:
        return super()._limits() | {
            "position_size_max_pct": "20",
            "max_position_pct": "30",
            "max_exposure_pct": "60",
            "max_order_krw": None,
            "max_daily_order_krw": None,
            "stop_loss_pct": self.crash.stop_loss_pct,
            "take_profit_pct": None,
            "trailing_stop_pct": None,
        }

    def _go_away(self) -> None:
        world, until = self.world, _AWAY_FROM_S + self.crash.away_s
        for part in sorted(self.crash.away):
            world.meet(f"{part} away")
        if "REST" in self.crash.away:
            world.rest_down_until = until
        if "PostgreSQL" in self.crash.away:
            world.store_down_until = until
        if "stream" in self.crash.away:
            self._spell(KRW_BTC, Quotation.STREAM, _AWAY_FROM_S, until, None)

    # --- what came of it -------------------------------------------------------------------------

    @property
    def stop(self) -> Decimal:
        """Return the stop of what was bought, from the exchange's own trades."""
        bought = [t for t in self.oracle.truth.trades() if t.side == "bid"]
        return _average(bought) * (1 - Decimal(self.crash.stop_loss_pct) / 100)

    @property
    def sold_at(self) -> Decimal | None:
        """Return the average price of all sales; None while anything is held."""
        sold = [t for t in self.oracle.truth.trades() if t.side == "ask"]
        if not sold or self.oracle.truth.holding(KRW_BTC) is not None:
            return None
        return _average(sold)

    @property
    def told(self) -> bool:
        """Whether an alert said that the position is not watched or not sold."""
        return any(key.startswith(f"position:{KRW_BTC}:") for _, key in self.alerts)

    def breached_at(self) -> float:
        """Return when the true price first was at the stop."""
        seconds = range(int(self.crash.lasts_s))
        return next(
            float(at) for at in seconds if self.oracle.truth.price(KRW_BTC, at) <= self.stop
        )

    def lowest(self, *, since: float, until: float) -> Decimal:
        return min(self.site.prices(KRW_BTC, since=since, until=until))


def _average(trades: Sequence[SandboxTrade]) -> Decimal:
    return sum((t.funds for t in trades), ZERO) / sum((t.volume for t in trades), ZERO)
