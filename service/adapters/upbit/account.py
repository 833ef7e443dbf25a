"""Our account, its balances and its trading rules at Upbit. Fields: Upbit docs v1.6.4."""

from datetime import datetime
from decimal import Decimal
from typing import Final

from loguru import logger

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import Record, records
from service.adapters.upbit.tick_table import KRW_TICKS
from service.adapters.upbit.wire import market_in
from service.domain.markets import Balance, Balances, Market, MarketRules

LONGEST_CURRENCY: Final = 40  #: characters, as our tables hold; Upbit's longest has ten or so


def rules(chance: object, instruments: object, market: Market) -> MarketRules:
    """Return the market's rules from both answers, with the stricter limit of both sides."""
    terms = Record(chance, "chance")
    listing = terms.record("market")
    if market_in(listing, "id") != market:
        raise OddAnswer("chance.market.id: another market than asked for")
    return MarketRules(
        market=market,
        fee_ratio=max(terms.amount("bid_fee"), terms.amount("ask_fee")),
        min_funds=max(listing.record(side).amount("min_total") for side in ("bid", "ask")),
        max_funds=listing.positive("max_total"),
        tick_size=_tick_size(instruments, market),
        ticks=KRW_TICKS if market.quote == "KRW" else (),
        active=(listing.text_or_none("state") or "active") == "active",
    )


def _tick_size(payload: object, market: Market) -> Decimal:
    for record in records(payload, "instrument"):
        if market_in(record, "market") == market:
            return record.positive("tick_size")
    raise OddAnswer(f"no instrument of {market}")


def balances(payload: object) -> Balances:
    """Return every currency, dust and delisted ones included.

    One odd row must not stop every market: what the others say still counts. A row without any
    name might be any currency's, so it spoils the answer.
    """
    found: dict[str, Balance] = {}
    unreadable: set[str] = set()
    for record in records(payload, "account"):
        name = None
        try:
            name = _currency(record)
            found[name] = Balance(
                currency=name, available=record.amount("balance"), locked=record.amount("locked")
            )
        except OddAnswer as exc:
            if name is None and not record.is_text("currency"):
                raise
            if name is not None:  # else it is of another shape than any currency traded here
                unreadable.add(name)
            logger.bind(event="order", currency=name, cause=str(exc)).warning(
                "a row of the account cannot be read, its currency is not traded until it can"
            )
    return Balances(found, unreadable=unreadable)


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
