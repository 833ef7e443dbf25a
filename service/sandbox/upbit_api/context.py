"""The objects that the handlers of one running sandbox share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from aiohttp import web

from service.domain.markets import Market
from service.sandbox.arrivals import Arrivals
from service.sandbox.clock import SandboxClock
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.list_lag import ListLag
from service.sandbox.faults import Faults
from service.sandbox.market.scripted import ScriptedPrints
from service.sandbox.market_notes import MarketNotes
from service.sandbox.rate_limits import RequestCounter
from service.sandbox.upbit_api.auth import Guard
from service.sandbox.upbit_api.quotes import Quotes


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContext:
    clock: SandboxClock
    engine: Engine
    prints: Mapping[Market, ScriptedPrints]
    quotes: Mapping[Market, Quotes]
    guard: Guard
    limiter: RequestCounter
    list_lag: ListLag
    stream_idle_s: float  #: real seconds
    notes: MarketNotes = field(default_factory=MarketNotes)
    faults: Faults = field(default_factory=Faults)
    arrivals: Arrivals = field(default_factory=Arrivals)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def now(self) -> datetime:
        """Match all prints up to the market's instant, and return it."""
        now = self.clock.now()
        self.engine.advance(now)
        return now


CONTEXT = web.AppKey("context", RequestContext)
