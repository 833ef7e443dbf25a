"""The four formats of a frame: long or short names, an object or a list of one."""

from collections.abc import Mapping
from typing import Final

import orjson

from service.sandbox.reply import Body
from service.sandbox.stream.requests import Format

_SHORT: Final = {
    "type": "ty",
    "code": "cd",
    "timestamp": "tms",
    "stream_type": "st",
    # ticker and trade
    "opening_price": "op",
    "high_price": "hp",
    "low_price": "lp",
    "trade_price": "tp",
    "prev_closing_price": "pcp",
    "change": "c",
    "change_price": "cp",
    "signed_change_price": "scp",
    "change_rate": "cr",
    "signed_change_rate": "scr",
    "trade_volume": "tv",
    "acc_trade_volume": "atv",
    "acc_trade_volume_24h": "atv24h",
    "acc_trade_price": "atp",
    "acc_trade_price_24h": "atp24h",
    "trade_date": "tdt",
    "trade_time": "ttm",
    "trade_timestamp": "ttms",
    "ask_bid": "ab",
    "acc_ask_volume": "aav",
    "acc_bid_volume": "abv",
    "highest_52_week_price": "h52wp",
    "highest_52_week_date": "h52wdt",
    "lowest_52_week_price": "l52wp",
    "lowest_52_week_date": "l52wdt",
    "market_state": "ms",
    "delisting_date": "dd",
    "sequential_id": "sid",
    "best_ask_price": "bap",
    "best_ask_size": "bas",
    "best_bid_price": "bbp",
    "best_bid_size": "bbs",
    # order book
    "total_ask_size": "tas",
    "total_bid_size": "tbs",
    "orderbook_units": "obu",
    "ask_price": "ap",
    "bid_price": "bp",
    "ask_size": "as",
    "bid_size": "bs",
    "level": "lv",
    # candle
    "candle_date_time_utc": "cdttmu",
    "candle_date_time_kst": "cdttmk",
    "candle_acc_trade_volume": "catv",
    "candle_acc_trade_price": "catp",
    # myOrder
    "uuid": "uid",
    "order_type": "ot",
    "state": "s",
    "trade_uuid": "tuid",
    "price": "p",
    "avg_price": "ap",
    "volume": "v",
    "remaining_volume": "rv",
    "executed_volume": "ev",
    "trades_count": "tc",
    "reserved_fee": "rsf",
    "remaining_fee": "rmf",
    "paid_fee": "pf",
    "locked": "l",
    "executed_funds": "ef",
    "time_in_force": "tif",
    "trade_fee": "tf",
    "is_maker": "im",
    "identifier": "id",
    "smp_type": "smpt",
    "prevented_volume": "pv",
    "prevented_locked": "pl",
    "order_timestamp": "otms",
    # myAsset
    "asset_uuid": "astuid",
    "assets": "ast",
    "currency": "cu",
    "balance": "b",
    "asset_timestamp": "asttms",
    # the list of subscriptions
    "method": "mthd",
    "result": "rslt",
    "codes": "cds",
    "ticket": "tckt",
}
_SHORT_IN_TRADES: Final = _SHORT | {"trade_date": "td"}


def encoded(body: Body, style: Format) -> bytes:
    """Return the frame's bytes: UTF-8 JSON."""
    shown: object = body
    if style.startswith("SIMPLE"):
        shown = _shortened(body, _SHORT_IN_TRADES if body.get("type") == "trade" else _SHORT)
    return orjson.dumps([shown] if style.endswith("LIST") else shown)


def _shortened(value: object, names: Mapping[str, str]) -> object:
    if isinstance(value, dict):
        return {names[name]: _shortened(part, names) for name, part in value.items()}
    if isinstance(value, list):
        return [_shortened(part, names) for part in value]
    return value
