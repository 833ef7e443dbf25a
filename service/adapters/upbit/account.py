"""Our account, its balances and its trading rules at Upbit. Fields: Upbit docs v1.6.4."""

from datetime import datetime
from decimal import Decimal

from service.adapters.upbit.errors import OddAnswer
from service.adapters.upbit.record import Record, records
from service.adapters.upbit.tick_table import KRW_TICKS
from service.adapters.upbit.wire import market_in
from service.domain.markets import Balance, Market, MarketRules


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


def balances(payload: object) -> dict[str, Balance]:
    """Return every currency, dust and delisted ones included."""
    found = {}
    for record in records(payload, "account"):
        name = record.text("currency")
        found[name] = Balance(
            currency=name, available=record.amount("balance"), locked=record.amount("locked")
        )
    return found


def key_expires_at(payload: object, access_key: str) -> datetime | None:
    """Return when `access_key` expires, or None when the account's list has no such key."""
    for record in records(payload, "api_key"):
        if record.text("access_key") == access_key:
            return record.instant("expire_at")
    return None
