"""Our account, its balances and its trading rules at Upbit. Fields: Upbit docs v1.6.4."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final

from loguru import logger

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.market_events import MarketStanding
from service.adapters.upbit.record import Record, records
from service.adapters.upbit.tick_table import KRW_TICKS
from service.adapters.upbit.wire import market_in
from service.domain.markets import Balance, Balances, Market, MarketRules

LONGEST_CURRENCY: Final = 40  #: characters, as our tables hold; Upbit's longest has ten or so
_HIGHEST_FEE: Final = Decimal("0.05")  #: a hundred times Upbit's
_SMALLEST_TICK: Final = Decimal("1e-8")
_LARGEST_TICK: Final = Decimal("1e8")
#: No account holds that much: all bitcoins that there can be, more won than lie at the exchange,
#: more of any coin than was ever issued of one that Upbit lists.
_MOST_OF: Final[Mapping[str, Decimal]] = {"KRW": Decimal("1e13"), "BTC": Decimal("2.1e7")}
_MOST: Final = Decimal("1e15")


def rules(
    chance: object, instruments: object, market: Market, standing: MarketStanding
) -> MarketRules:
    """Return the market's rules from all answers, with the stricter limit of both sides.

    A market without a `state` is not active: what is not said cannot be relied upon.
    """
    terms = Record(chance, "chance")
    listing = terms.record("market")
    if market_in(listing, "id") != market:
        raise OddAnswer("chance.market.id: another market than asked for")
    min_funds = max(listing.record(side).positive("min_total") for side in ("bid", "ask"))
    max_funds = listing.positive("max_total")
    if max_funds < min_funds:
        raise OddAnswer("chance.market.max_total: below the smallest order")
    return MarketRules(
        market=market,
        fee_ratio=max(_fee_ratio(terms, "bid_fee"), _fee_ratio(terms, "ask_fee")),
        min_funds=min_funds,
        max_funds=max_funds,
        tick_size=_tick_size(instruments, market),
        ticks=KRW_TICKS if market.quote == "KRW" else (),
        active=listing.text_or_none("state") == "active" and standing.is_active,
        warnings=standing.warnings,
        delisted_at=standing.delisted_at,
    )


def _fee_ratio(terms: Record, name: str) -> Decimal:
    ratio = terms.amount(name)
    if ratio > _HIGHEST_FEE:
        raise OddAnswer(f"chance.{name}: out of range")
    return ratio


def _tick_size(payload: object, market: Market) -> Decimal:
    for record in records(payload, "instrument"):
        if market_in(record, "market") == market:
            tick_size = record.positive("tick_size")
            if not _SMALLEST_TICK <= tick_size <= _LARGEST_TICK:
                raise OddAnswer("instrument.tick_size: out of range")
            return tick_size
    raise OddAnswer(f"no instrument of {market}")


def balances(payload: object) -> Balances:
    """Return every currency, dust and delisted ones included.

    One odd row must not stop every market: what the others say still counts. A row without any
    name might be any currency's, so it spoils the answer. Of a currency that stands there twice
    neither row counts: which one is true cannot be told, nor whether both are.
    """
    found: dict[str, Balance] = {}
    unreadable: set[str] = set()
    for record in records(payload, "account"):
        name = None
        try:
            name = _currency(record)
            found[name] = _balance(record, name, is_first=name not in {*found, *unreadable})
        except OddAnswer as exc:
            if name is None and not record.is_text("currency"):
                raise
            if name is not None:  # else it is of another shape than any currency traded here
                unreadable.add(name)
            logger.bind(event="order", currency=name, cause=str(exc)).warning(
                "a row of the account cannot be read, its currency is not traded until it can"
            )
    for name in unreadable:
        found.pop(name, None)
    return Balances(found, unreadable=unreadable)


def _balance(record: Record, currency: str, *, is_first: bool) -> Balance:
    if not is_first:
        raise OddAnswer("account.currency: more than once")
    available, locked = record.amount("balance"), record.amount("locked")
    if available + locked >= _MOST_OF.get(currency, _MOST):
        raise OddAnswer("account.balance: more than an account can hold")
    return Balance(currency=currency, available=available, locked=locked)


def _currency(record: Record) -> str:
    name = record.text("currency")
    if len(name) > LONGEST_CURRENCY:
        raise OddAnswer("account.currency: too long")
    return name


def key_expires_at(payload: object, access_key: str) -> datetime | None:
    """Return when `access_key` expires, or None when the account's list has no such key."""
    for record in records(payload, "api_key"):
        if record.text("access_key") == access_key:
            return record.instant("expire_at")
    return None
