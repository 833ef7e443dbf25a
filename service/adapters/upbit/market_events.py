"""What Upbit warns of, market by market, and the day on which a market ends.

Warnings come with the list of markets, the day of the end with tickers of the WebSocket only.
Source: Upbit docs, "list trading pairs" (market_event) and "websocket ticker" (v1.6.4).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Final

from loguru import logger

from service.adapters.upbit.errors import OddAnswer, translated
from service.adapters.upbit.record import Record, items
from service.adapters.upbit.wire import market_in
from service.domain.errors import BoundaryError
from service.domain.markets import Market

ACTIVE: Final = "ACTIVE"  #: `market_state` of a ticker; also PREVIEW and DELISTED
WARNING: Final = "WARNING"  #: `market_event.warning`: Upbit's designation before a delisting
CAUTION: Final = "CAUTION"  #: of the older field `market_warning`
#: Ours: what a market warns of is not known, so it may be anything.
UNREADABLE: Final = "UNREADABLE"
NOT_LISTED: Final = "NOT_LISTED"
ASKED_EVERY_S: Final = 10.0
#: An answer counts so long while a newer one cannot be had.
LASTS_S: Final = 600.0
_MOST_CAUTIONS: Final = 20

Warnings = Mapping[Market, tuple[str, ...]]


def warnings(payload: object) -> Warnings:
    """Return the names of what each market warns of; one odd row concerns its market alone."""
    found: dict[Market, tuple[str, ...]] = {}
    for item in items(payload, "market"):
        try:
            record = Record(item, "market")
            market = market_in(record, "market")
        except OddAnswer:
            continue  # a listing of another shape is none that is traded here
        try:
            found[market] = _warnings(record)
        except OddAnswer as exc:
            found[market] = (UNREADABLE,)
            logger.bind(event="risk", market=str(market), cause=str(exc)).warning(
                "a market's warnings cannot be read, it is not bought until they can"
            )
    return found


def _warnings(record: Record) -> tuple[str, ...]:
    older = [CAUTION] if record.text_or_none("market_warning") == CAUTION else []
    if not record.has("market_event"):
        return tuple(older)
    event = record.record("market_event")
    found = [WARNING] if event.has("warning") and event.flag("warning") else older
    if event.has("caution"):
        found += event.record("caution").flags(most=_MOST_CAUTIONS)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketStanding:
    """What is known of one market beside its rules.

    Attributes:
        warnings: names of what the exchange warns of.
        is_active: false once a ticker said that it is not traded, or not yet.
        delisted_at: the day on which its trading ends.
    """

    warnings: tuple[str, ...] = ()
    is_active: bool = True
    delisted_at: date | None = None


_USUAL: Final = MarketStanding()


class MarketEvents:
    """Keeps the warnings of all markets for some seconds, and what tickers told of their ends.

    Args:
        ask: returns the list of markets with its details.
        seconds: real ones, e.g. `RealClock.monotonic`.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[object]], *, seconds: Callable[[], float]
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._warnings: Warnings = {}
        self._told_at: float | None = None
        self._asked_at: float | None = None
        self._ends: dict[Market, MarketStanding] = {}  #: without the warnings of the list

    def hear(self, market: Market, ticker: Mapping[str, object]) -> None:
        """Take what a ticker of the WebSocket says of its market's state and end."""
        state, day = ticker.get("market_state"), ticker.get("delisting_date")
        if state is None and day is None:
            return
        delisted_at = _day(day)
        is_odd = day is not None and delisted_at is None  # it ends, and when is not known
        told = MarketStanding(
            is_active=state in {None, ACTIVE},
            delisted_at=delisted_at,
            warnings=(UNREADABLE,) if is_odd else (),
        )
        if told == self._ends.get(market, _USUAL):
            return
        self._ends[market] = told
        logger.bind(
            event="risk",
            market=str(market),
            is_active=told.is_active,
            delisted_at=None if delisted_at is None else delisted_at.isoformat(),
        ).warning("the exchange says that a market's state or its end has changed")

    async def of(self, market: Market) -> MarketStanding:
        """Return what is known of `market`.

        An exchange that cannot be asked raises nothing: what it warns of may be anything then, and
        a sale does not depend on it.
        """
        async with self._lock:  # callers of one moment share one question
            if self._asked_at is None or self._seconds() - self._asked_at >= ASKED_EVERY_S:
                await self._refresh()
        told = self._ends.get(market, _USUAL)
        return replace(told, warnings=(*self._warnings_of(market), *told.warnings))

    async def _refresh(self) -> None:
        self._asked_at = self._seconds()
        try:
            with translated(writing=False):
                self._warnings = warnings(await self._ask())
            self._told_at = self._seconds()
        except BoundaryError as exc:
            logger.bind(event="risk", error=type(exc).__name__, cause=str(exc)).warning(
                "what the exchange warns of cannot be asked"
            )

    def _warnings_of(self, market: Market) -> tuple[str, ...]:
        if self._told_at is None or self._seconds() - self._told_at > LASTS_S:
            return (UNREADABLE,)
        return self._warnings.get(market, (NOT_LISTED,))


def _day(value: object) -> date | None:
    """Return the date in `{"year": 2026, "month": 12, "day": 31}`; None for anything else."""
    if not isinstance(value, dict):
        return None
    year, month, day = (value.get(name) for name in ("year", "month", "day"))
    if type(year) is not int or type(month) is not int or type(day) is not int:
        return None
    try:
        return date(year, month, day)
    except (ValueError, OverflowError):
        return None
