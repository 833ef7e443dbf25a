"""The trading state with its halts and limits; halting and resuming."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web
from loguru import logger
from typing_extensions import TypedDict

from service.domain.decimals import decimal_text
from service.domain.errors import BoundaryError, StoreDown, UnknownMarket
from service.domain.instants import rfc3339
from service.domain.markets import Market
from service.domain.trading_states import TradingStatus
from service.flows.flatten import Flattener
from service.ports.store import Halt
from service.settings.table import (
    DAILY_LOSS_LIMIT_PCT,
    MAX_EXPOSURE_PCT,
    MAX_ORDERS_PER_HOUR,
    MAX_POSITION_PCT,
    VOLATILITY_THRESHOLD_PCT,
)
from service.web.api.positions import PositionBody, position_bodies, positions_of
from service.web.api.protection import ProtectionBody, protection_bodies
from service.web.contract.log_bodies import RiskEventKind
from service.web.contract.requests import FlattenRequestBody, HaltRequestBody, ResumeBody
from service.web.contract.scalars import DecimalText, Instant
from service.web.keys import (
    CLOCK,
    CONFIG,
    DAILY_LOSS,
    FLATTEN,
    FLATTENER,
    LEADERSHIP,
    LISTS,
    ORDERS,
    PORTFOLIO,
    PROTECTOR,
    SETTINGS,
    TRADING_SWITCH,
    VOLATILITY,
)
from service.web.protocol.auth import CALLER
from service.web.protocol.bodies import body_of
from service.web.protocol.paging import page_response, window
from service.web.protocol.query import Query
from service.web.protocol.request_id import REQUEST_ID
from service.web.protocol.responses import json_response

#: Real seconds that a status waits for the database: in an outage what memory knows is wanted now.
READ_WITHIN_S: Final = 1.0
_HOUR: Final = timedelta(hours=1)
_SHOWN: Final = Decimal("0.01")


class HaltBody(TypedDict):
    state: str  #: REDUCING or HALTED
    market: str | None  #: null for all markets
    reason: str
    actor: str
    since: Instant
    ends: str  #: `operator`, or `condition`: the rule that halted resumes too


class LimitBody(TypedDict):
    name: str  #: of the setting
    market: str | None
    quote: str | None  #: of a limit that each quote currency has
    limit: DecimalText
    used: DecimalText | None  #: null where it is not known
    left: DecimalText | None


class LeaseBody(TypedDict):
    may_trade: bool
    reason: str | None


class FlattenedMarketBody(TypedDict):
    market: str
    status: str  #: of domain.flattening.FlattenStatus
    detail: str | None


class FlattenBody(TypedDict):
    running: bool
    markets: list[FlattenedMarketBody]  #: of the last one, empty before the first


class StateBody(TypedDict):
    """Of this process; the lease is not part of `state`."""

    state: str
    reason: str | None
    since: Instant | None
    flatten: "FlattenBody"
    stored: bool  #: false: the database does not have every halt yet, the local file does
    halts: list[HaltBody]


class ResumedBody(StateBody):
    ended: list[HaltBody]


class RiskStatusBody(StateBody):
    trading_enabled: bool | None  #: null before it was read
    lease: LeaseBody
    limits: list[LimitBody] | None  #: null while the database does not answer
    positions: list[PositionBody] | None
    protection: list[ProtectionBody]  #: from memory, the database may be away
    missing: list[str]  #: what is null because the database did not answer in time


async def status(request: web.Request) -> web.Response:
    """The state comes from memory, so it is answered while the database is away too."""
    Query(request)
    app = request.app
    standby = app[LEADERSHIP].standby_reason
    positions, limits = await _in_database(app)
    return json_response(
        RiskStatusBody(
            **_state(app),
            trading_enabled=app[TRADING_SWITCH].is_enabled,
            lease=LeaseBody(may_trade=standby is None, reason=standby),
            limits=limits,
            positions=positions,
            protection=protection_bodies(app[PROTECTOR]),
            missing=[
                name
                for name, read in (("limits", limits), ("positions", positions))
                if read is None
            ],
        )
    )


async def _in_database(
    app: web.Application,
) -> tuple[list[PositionBody] | None, list[LimitBody] | None]:
    """Return the positions and the limits; None for what is not answered within READ_WITHIN_S."""
    positions: list[PositionBody] | None = None
    limits: list[LimitBody] | None = None
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            positions = await _positions(app)
            limits = await _limits(app, positions)
    except (BoundaryError, TimeoutError) as exc:
        logger.bind(event="app", error=type(exc).__name__, cause=str(exc)).warning(
            "the limits cannot be read, the trading state is shown without them"
        )
    return positions, limits


async def events(request: web.Request) -> web.Response:
    query = Query(request)
    page, event = window(query), query.choice("event", RiskEventKind)
    return page_response(
        await request.app[LISTS].risk_events(limit=page.limit, before=page.before, event=event)
    )


async def halt(request: web.Request) -> web.Response:
    """Halt at once; in force here before anything is stored."""
    Query(request)
    body = await body_of(request, HaltRequestBody)
    market = None if body.market is None else _collected(request, body.market)
    receipt = await request.app[TRADING_SWITCH].halt(
        kind=TradingStatus.REDUCING if body.protection else TradingStatus.HALTED,
        reason=body.reason,
        actor=request[CALLER].name,
        market=market,
        request_id=request[REQUEST_ID],
    )
    if not (receipt.in_database or receipt.in_journal):
        raise StoreDown(
            "the halt is in force in this process and stored nowhere, a restart would forget it:"
            " ask again"
        )
    if not (receipt.in_database or request.app[LEADERSHIP].is_last_known_owner):
        raise StoreDown(
            "the halt is in force in this process and in its file, and another process trades:"
            " this one cannot reach the database to tell it, ask the one that trades"
        )
    return json_response(_state(request.app))


async def resume(request: web.Request) -> web.Response:
    """End halts; a condition that still holds is halted again by its rule."""
    Query(request)
    body = await body_of(request, ResumeBody)
    ended = await request.app[TRADING_SWITCH].resume(
        actor=request[CALLER].name, reasons=body.reasons, request_id=request[REQUEST_ID]
    )
    return json_response(ResumedBody(**_state(request.app), ended=[_halt_body(h) for h in ended]))


async def flatten(request: web.Request) -> web.Response:
    """Begin to cancel and sell; `risk/status` says how far it is."""
    Query(request)
    body = await body_of(request, FlattenRequestBody)
    names = None if body.markets is None else sorted(set(body.markets))
    markets = None if names is None else [_collected(request, name) for name in names]
    await request.app[FLATTEN](markets, actor=request[CALLER].name, request_id=request[REQUEST_ID])
    return json_response(_state(request.app), status=HTTPStatus.ACCEPTED)


def _flatten_body(flattener: Flattener) -> FlattenBody:
    return FlattenBody(
        running=flattener.is_running(),
        markets=[
            FlattenedMarketBody(market=str(one.market), status=one.status.value, detail=one.detail)
            for one in flattener.progress()
        ],
    )


def _collected(request: web.Request, name: str) -> Market:
    """Return the market. A mistyped one would be answered well and stop nothing."""
    market = Market.parse(name)
    if market not in request.app[CONFIG].markets:
        raise UnknownMarket(f"{market} is none of TRADER_MARKETS")
    return market


def _state(app: web.Application) -> StateBody:
    switch = app[TRADING_SWITCH]
    summary = switch.summary()
    return StateBody(
        state=summary.status.value,
        reason=summary.reason,
        since=None if summary.since is None else rfc3339(summary.since),
        flatten=_flatten_body(app[FLATTENER]),
        stored=not switch.unstored(),
        halts=[_halt_body(one) for one in switch.halts()],
    )


def _halt_body(one: Halt) -> HaltBody:
    return HaltBody(
        state=one.kind.value,
        market=None if one.market is None else str(one.market),
        reason=one.reason,
        actor=one.actor,
        since=rfc3339(one.since),
        ends=one.ends,
    )


async def _positions(app: web.Application) -> list[PositionBody]:
    positions = await positions_of(app)
    tickers = await app[LISTS].market_latest([position.market for position in positions])
    return position_bodies(app, positions, tickers)


async def _limits(app: web.Application, positions: Sequence[PositionBody]) -> list[LimitBody]:
    get = app[SETTINGS].get
    per_hour, largest_pct = await get(MAX_ORDERS_PER_HOUR), await get(MAX_POSITION_PCT)
    exposed_pct = await get(MAX_EXPOSURE_PCT)
    written = await app[ORDERS].count_since(app[CLOCK].now() - _HOUR)
    accounts = {quote: await _account(app, quote) for quote in {_quote(p) for p in positions}}
    return [
        *await _limits_that_halt(app),
        _limit_body(MAX_ORDERS_PER_HOUR.name, limit=Decimal(per_hour), used=Decimal(written)),
        *(
            _limit_body(
                MAX_POSITION_PCT.name,
                market=p["market"],
                limit=largest_pct,
                used=_used(p, accounts[_quote(p)].equity),
            )
            for p in positions
        ),
        *(
            _limit_body(
                MAX_EXPOSURE_PCT.name,
                quote=quote,
                limit=exposed_pct,
                used=_exposed([p for p in positions if _quote(p) == quote], account.cash),
            )
            for quote, account in sorted(accounts.items())
        ),
    ]


async def _limits_that_halt(app: web.Application) -> list[LimitBody]:
    """Return the day's loss of each quote currency, and how far each market has moved."""
    lost_pct = await app[SETTINGS].get(DAILY_LOSS_LIMIT_PCT)
    moved_pct = await app[SETTINGS].get(VOLATILITY_THRESHOLD_PCT)
    volatility = app[VOLATILITY]
    return [
        *(
            _limit_body(
                DAILY_LOSS_LIMIT_PCT.name,
                quote=quote,
                limit=lost_pct,
                used=None if share is None else share.used_pct,
                left=None if share is None else share.left_pct,
            )
            for quote, share in sorted(app[DAILY_LOSS].shares().items())
        ),
        *(
            _limit_body(
                VOLATILITY_THRESHOLD_PCT.name,
                market=str(market),
                limit=moved_pct,
                used=volatility.moved_pct(market),
            )
            for market in volatility.markets
        ),
    ]


@dataclass(frozen=True, slots=True)
class _Account:
    """The newest stored equity of one quote currency, and its money; None before the first."""

    equity: Decimal | None
    cash: Decimal | None


async def _account(app: web.Application, quote: str) -> _Account:
    """Return what is stored: a viewer must not cost a call of the exchange."""
    summary = orjson.loads(
        await app[PORTFOLIO].summary(quote=quote, now=app[CLOCK].now(), days=(1,))
    )
    equity, cash = summary.get("equity"), summary.get("cash")
    return _Account(
        equity=None if equity is None else Decimal(equity),
        cash=None if cash is None else Decimal(cash),
    )


def _used(position: PositionBody, equity: Decimal | None) -> Decimal | None:
    if position["value"] is None or not equity:
        return None
    return Decimal(position["value"]) / equity * 100


def _exposed(positions: Sequence[PositionBody], cash: Decimal | None) -> Decimal | None:
    """Return the share of our positions in money and our positions, in per cent."""
    values = [Decimal(p["value"]) for p in positions if p["value"] is not None]
    if cash is None or len(values) < len(positions) or not cash + sum(values):
        return None
    return sum(values, Decimal(0)) / (cash + sum(values)) * 100


def _quote(position: PositionBody) -> str:
    return Market.parse(position["market"]).quote


def _limit_body(
    name: str,
    *,
    limit: Decimal,
    used: Decimal | None,
    left: Decimal | None = None,
    market: str | None = None,
    quote: str | None = None,
) -> LimitBody:
    """Args: left: where it is not the rest of the limit; None: it is."""
    if used is not None and left is None:
        left = max(limit - used, Decimal(0))
    return LimitBody(
        name=name,
        market=market,
        quote=quote,
        limit=decimal_text(limit),
        used=None if used is None else _shown(used),
        left=None if left is None else _shown(left),
    )


def _shown(value: Decimal) -> str:
    return decimal_text(value.quantize(_SHOWN))
