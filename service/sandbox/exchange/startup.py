"""Start of the exchange: candle file, journal, keys and clock; it restores the stored state."""

import asyncio
import secrets
import string
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from loguru import logger

from service.domain.errors import ConfigError
from service.domain.markets import Market
from service.sandbox.clock import SandboxClock, make_clock
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.journal import (
    VERSION,
    Horizon,
    NullJournal,
    OrderJournal,
    OrderLog,
    open_journal,
)
from service.sandbox.exchange.records import Record
from service.sandbox.market.candle_file import CandleFile, read_candles
from service.sandbox.market.generator import PriceGenerator
from service.sandbox.market.replay import Replay
from service.sandbox.market.scripted import ScriptedPrints
from service.sandbox.options import SandboxOptions

_LEAD_S: Final = 10  #: real seconds from one write of `Horizon` to the next
_DISCRETE_LEAD: Final = timedelta(minutes=10)
_KEY_LENGTH: Final = 40  #: as Upbit's keys
_LETTERS: Final = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    clock: SandboxClock
    engine: Engine
    prints: Mapping[Market, ScriptedPrints]
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)


@asynccontextmanager
async def open_exchange(options: SandboxOptions) -> AsyncIterator[Opened]:
    """Yield the exchange as stored in the journal, or a new one.

    Raises: ConfigError, one sentence about the candle file or the state directory.
    """
    file = None
    if options.candles is not None:
        file = await asyncio.to_thread(read_candles, options.candles)
    prints = _prints(options, file)
    async with AsyncExitStack() as stack:
        journal: OrderJournal = NullJournal()
        records: Sequence[Record] = ()
        if options.state_dir is not None:
            journal, records = stack.enter_context(open_journal(options.state_dir))
        header = _header(options, file, records)
        engine = Engine(prints=prints, seed=options.seed, opening=_opening(header), journal=journal)
        for record in records:
            engine.restore(record)
        _check_markets(engine, options)
        origin = _origin(file, records, options)
        if isinstance(journal, OrderLog):
            journal.compact([header, engine.snapshot(), {"stopped": origin.isoformat()}])
        horizon = Horizon(journal, lead=_lead(options.speed))
        clock = make_clock(origin=origin, speed=options.speed, seen=horizon.seen)
        try:
            yield Opened(
                clock=clock,
                engine=engine,
                prints=prints,
                access_key=header["access_key"],
                secret_key=header["secret_key"],
            )
        finally:
            engine.advance(now := clock.now())
            horizon.stop(now)


def _prints(options: SandboxOptions, file: CandleFile | None) -> Mapping[Market, ScriptedPrints]:
    prints = {
        market: ScriptedPrints(PriceGenerator(options.seed, market)) for market in options.markets
    }
    if file is not None:
        played = _played(options, file)
        prints[played] = ScriptedPrints(Replay(file, seed=options.seed, market=played))
    return prints


def _played(options: SandboxOptions, file: CandleFile) -> Market:
    """Return the market whose candles are in the file."""
    codes = {str(market): market for market in options.markets}
    if file.market is None and len(codes) == 1:
        return options.markets[0]
    if file.market is None:
        raise ConfigError(
            f"{options.candles} does not say its market; add a column market, or trade one market"
        )
    if file.market not in codes:
        raise ConfigError(
            f"{options.candles} holds candles of {file.market}, but the markets are"
            f" {', '.join(codes)}; trade {file.market} or give another file"
        )
    return codes[file.market]


def _header(options: SandboxOptions, file: CandleFile | None, records: Sequence[Record]) -> Record:
    """Return the journal's first line: keys and opening balances; stored values stay."""
    stored = records[0] if records else {}
    source = "walk" if file is None else f"candles from {file.candles[0].opened_at.isoformat()}"
    return {
        "sandbox": VERSION,
        "seed": options.seed,
        "source": source,
        "opening": stored.get("opening", {"KRW": str(options.opening_krw)}),
        "access_key": options.access_key or stored.get("access_key") or _new_key(),
        "secret_key": options.secret_key or stored.get("secret_key") or _new_key(),
    }


def _new_key() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(_KEY_LENGTH))


def _opening(header: Record) -> dict[str, Decimal]:
    return {currency: Decimal(amount) for currency, amount in header["opening"].items()}


def _check_markets(engine: Engine, options: SandboxOptions) -> None:
    missing = engine.open_markets() - engine.prints.keys()
    if missing:
        raise ConfigError(
            f"the exchange in {options.state_dir} holds open orders in"
            f" {', '.join(sorted(map(str, missing)))}; trade that market too, or move the"
            " directory away to start with a new account"
        )


def _origin(
    file: CandleFile | None, records: Sequence[Record], options: SandboxOptions
) -> datetime:
    """Return the market's first instant, not before any that has been shown."""
    begin = datetime.now(UTC) if file is None else file.candles[0].opened_at
    shown = _last_instant(records)
    if shown is None:
        return begin
    if records and records[0].get("seed") != options.seed:
        logger.bind(event="app").warning("the sandbox's account goes on in a market of other seed")
    if file is not None and shown >= (end := _end(file)):
        _check_same_file(file, records, options, end)
    return max(begin, shown)


def _end(file: CandleFile) -> datetime:
    return file.candles[-1].opened_at + timedelta(minutes=file.unit)


def _check_same_file(
    file: CandleFile, records: Sequence[Record], options: SandboxOptions, end: datetime
) -> None:
    source = f"candles from {file.candles[0].opened_at.isoformat()}"
    if records[0].get("source") != source:
        raise ConfigError(
            f"the exchange in {options.state_dir} has already lived past {end:%Y-%m-%d %H:%M}, the"
            f" end of {options.candles}, and time cannot run backwards; name another directory or"
            " move this one away"
        )


def _last_instant(records: Sequence[Record]) -> datetime | None:
    shown: datetime | None = None
    for record in records:
        if "stopped" in record:
            shown = datetime.fromisoformat(record["stopped"])
        elif instant := record.get("until") or record.get("at"):
            at = datetime.fromisoformat(instant)
            shown = at if shown is None else max(shown, at)
    return shown


def _lead(speed: Decimal) -> timedelta:
    return timedelta(seconds=_LEAD_S * float(speed)) if speed else _DISCRETE_LEAD
