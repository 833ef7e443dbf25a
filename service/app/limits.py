"""Binds the limits that halt by themselves to what they read and stop."""

from collections.abc import Callable
from functools import partial
from typing import Final

from service.app.services import LimitGuards, Ports, Process
from service.flows.leadership import Leadership
from service.flows.live_prices import LivePrices
from service.flows.trading_switch import TradingSwitch
from service.flows.volatility import VolatilityGuard

#: The loop that stores a halt which is in force in memory alone.
TRADING_STATE_LOOP: Final = "trading.state"


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
    guards = LimitGuards(
        volatility=VolatilityGuard(
            markets=process.config.markets,
            switch=switch,
            states=ports.store.state,
            stored=ports.store.collected,
            settings=ports.settings,
            clock=ports.clock,
            leads=lambda: leadership.is_leader,
            wake=partial(nudge, TRADING_STATE_LOOP),
        ),
    )
    prices.subscribe(guards.hear)
    return guards
