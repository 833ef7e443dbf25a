"""Binds the limits that halt by themselves to what they read and stop."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Final

from service.app.services import LimitGuards, Ports, Process
from service.flows.daily_loss import PRICE_LASTS, DailyLossGuard
from service.flows.leadership import Leadership
from service.flows.live_prices import LivePrices
from service.flows.trading_switch import TradingSwitch
from service.flows.volatility import VolatilityGuard

#: The loop that stores a halt which is in force in memory alone.
TRADING_STATE_LOOP: Final = "trading.state"
DAILY_LOSS_LOOP: Final = "limits.daily_loss"


def limit_guards(
    process: Process,
    ports: Ports,
    switch: TradingSwitch,
    leadership: Leadership,
    *,
    prices: LivePrices,
    nudge: Callable[[str], None],
) -> LimitGuards:
    """Args: nudge: starts the next pass of a loop of maintenance now."""
    # A fast market's minutes are shorter than a pass that collects.
    price_lasts = max(PRICE_LASTS, timedelta(seconds=10) * ports.speed)
    guards = LimitGuards(
        volatility=VolatilityGuard(
            markets=process.config.markets,
            switch=switch,
            states=ports.store.state,
            stored=ports.store.market_data,
            settings=ports.settings,
            clock=ports.clock,
            leads=lambda: leadership.is_leader,
            wake=partial(nudge, TRADING_STATE_LOOP),
            price_lasts=price_lasts,
        ),
        daily_loss=DailyLossGuard(
            quotes={market.quote for market in process.config.markets},
            orders=ports.store.orders,
            days=ports.store.loss_days,
            switch=switch,
            states=ports.store.state,
            prices=prices,
            exchange=ports.watching,
            settings=ports.settings,
            clock=ports.clock,
            leads=lambda: leadership.is_leader,
            wake=partial(nudge, TRADING_STATE_LOOP),
            wake_self=partial(nudge, DAILY_LOSS_LOOP),
            price_lasts=price_lasts,
        ),
    )
    guards.follow(prices)
    leadership.before_trading(guards.begin)
    return guards
