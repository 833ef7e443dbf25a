"""Upbit's Quotation API: public requests, JSON numbers, errors named by their status."""

import asyncio
from datetime import UTC, datetime, timedelta

from aiohttp import web

from service.domain.decimals import decimal_text
from service.domain.errors import UnknownMarket
from service.domain.markets import Market
from service.sandbox.errors import quotation_error
from service.sandbox.market.candle_file import UNITS_OF_CANDLES
from service.sandbox.market.order_book import LEVELS
from service.sandbox.market.prints import DAY_STEPS, EPOCH, MINUTE_STEPS, Bar, step_at
from service.sandbox.market.ticks import decimal, tick_units
from service.sandbox.market_notes import MarketNote
from service.sandbox.reply import Body, reply
from service.sandbox.upbit_api.context import CONTEXT
from service.sandbox.upbit_api.quotes import Quotes, book_body, day_body, minute_body

_MAX_CANDLES = 200
_LARGEST_COUNT = 9_999
_ONE_MICROSECOND = timedelta(microseconds=1)
_KOREAN = {"BTC": "비트코인", "ETH": "이더리움", "XRP": "엑스알피(리플)", "SOL": "솔라나"}
_KOREAN |= {"DOGE": "도지코인", "ADA": "에이다"}
_ENGLISH = {"BTC": "Bitcoin", "ETH": "Ethereum", "XRP": "XRP", "SOL": "Solana"}
_ENGLISH |= {"DOGE": "Dogecoin", "ADA": "Ada"}

routes = web.RouteTableDef()


@routes.get("/v1/market/all")
async def markets(request: web.Request) -> web.Response:
    query = request.query
    detailed = query.get("is_details", query.get("isDetails", "")).lower() == "true"
    notes = request.app[CONTEXT].notes
    return reply(
        [
            _market_body(market, notes.of(market) if detailed else None)
            for market in request.app[CONTEXT].quotes
            if notes.of(market).is_listed
        ]
    )


@routes.get("/v1/ticker")
async def tickers(request: web.Request) -> web.Response:
    now = request.app[CONTEXT].now()
    return reply([quotes.ticker(now) for quotes in _asked(request)])


@routes.get("/v1/ticker/all")
async def all_tickers(request: web.Request) -> web.Response:
    context, now = request.app[CONTEXT], request.app[CONTEXT].now()
    money = request.query.get("quote_currencies", "").upper().split(",")
    return reply(
        [quotes.ticker(now) for market, quotes in context.quotes.items() if market.quote in money]
    )


@routes.get("/v1/candles/minutes/{unit}")
async def minute_candles(request: web.Request) -> web.Response:
    unit = request.match_info["unit"]
    if unit not in map(str, UNITS_OF_CANDLES):
        raise quotation_error(400, "specified unit is not valid.")
    quotes, bars = await _bars(request, width=int(unit) * MINUTE_STEPS)
    return reply([minute_body(quotes.market, bar, unit=int(unit)) for bar in bars])


@routes.get("/v1/candles/days")
async def day_candles(request: web.Request) -> web.Response:
    quotes, bars = await _bars(request, width=DAY_STEPS)
    converted = request.query.get("converting_price_unit", "").upper()
    bodies = []
    for bar in bars:
        # The day before is the next candle of the page, and its prints stay cached.
        body = day_body(quotes.market, bar, closed=quotes.prints.newest(bar.first_step - 1).price)
        if converted == quotes.market.quote:
            body["converted_trade_price"] = body["trade_price"]
        bodies.append(body)
    return reply(bodies)


@routes.get("/v1/orderbook")
async def orderbooks(request: web.Request) -> web.Response:
    context, now = request.app[CONTEXT], request.app[CONTEXT].now()
    count = _count(request, default=LEVELS, most=LEVELS)
    return reply(
        [
            book_body(quotes.market, context.engine.book(quotes.market, now), count=count, now=now)
            for quotes in _asked(request)
        ]
    )


@routes.get("/v1/orderbook/instruments")
async def instruments(request: web.Request) -> web.Response:
    now = request.app[CONTEXT].now()
    bodies: list[Body] = []
    for quotes in _asked(request):
        tick = decimal_text(decimal(tick_units(quotes.prints.newest(step_at(now)).price)))
        bodies.append(
            {
                "market": str(quotes.market),
                "quote_currency": quotes.market.quote,
                "tick_size": tick,
                "supported_levels": ["0"],
            }
        )
    return reply(bodies)


async def _bars(request: web.Request, *, width: int) -> tuple[Quotes, list[Bar]]:
    now = step_at(request.app[CONTEXT].now())
    quotes = _quotes(request, request.query.get("market"))
    # A larger count is answered with 200 candles and no error, as Upbit does.
    count = min(_count(request, default=1, most=_LARGEST_COUNT), _MAX_CANDLES)
    before = _before(request.query.get("to"))
    bars: list[Bar] = []
    for bar in quotes.candles(width=width, count=count, before=before, now=now):
        if bar is None:
            await asyncio.sleep(0)  # computing a new day may take a few milliseconds
        else:
            bars.append(bar)
    return quotes, bars


def _before(to: str | None) -> int | None:
    if not to:
        return None
    try:
        instant = datetime.fromisoformat(to)
    except ValueError as exc:
        raise quotation_error(400, "to: write it like 2026-01-24T09:00:00Z") from exc
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    if instant <= EPOCH:
        return 0
    # Exclusive: a candle that begins at `to` is left out, one that began just before is not.
    return step_at(instant - _ONE_MICROSECOND) + 1


def _count(request: web.Request, *, default: int, most: int) -> int:
    given = request.query.get("count", str(default))
    if not given.isdecimal() or len(given) > len(str(most)) or not 1 <= int(given) <= most:
        raise quotation_error(400, f"count: 1 to {most}")
    return int(given)


def _asked(request: web.Request) -> list[Quotes]:
    codes = request.query.get("markets")
    if not codes:
        raise quotation_error(400, "markets: missing")
    return [_quotes(request, code) for code in codes.split(",")]


def _quotes(request: web.Request, code: str | None) -> Quotes:
    if not code:
        raise quotation_error(400, "market: missing")
    try:
        quotes = request.app[CONTEXT].quotes.get(Market.parse(code.strip()))
    except UnknownMarket:
        quotes = None
    if quotes is None:
        raise quotation_error(404, "Code not found")
    return quotes


def _market_body(market: Market, note: MarketNote | None) -> Body:
    """Args: note: of a detailed list."""
    body: Body = {
        "market": str(market),
        "korean_name": _KOREAN.get(market.base, market.base),
        "english_name": _ENGLISH.get(market.base, market.base),
    }
    if note is not None and note.has_event:
        body["market_event"] = note.event
    return body
