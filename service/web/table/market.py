"""The rows of prices, candles and the page's own summary."""

from typing import Final

from service.domain.errors import NotFound
from service.domain.markets import Timeframe
from service.web.api import dashboard, market
from service.web.contract import market_bodies as bodies
from service.web.contract.parameters import MARKET, PAGE, ChoiceParameter, NumberParameter
from service.web.contract.roles import Role
from service.web.contract.route import API, OK, STORE, RouteRow

#: The statement reads every row of every market to find gaps.
_WEEK: Final = NumberParameter(name="hours", default=24, high=168, says="until now")

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=f"{API}/dashboard/summary",
        name="get_dashboard_summary",
        handler=dashboard.summary,
        role=Role.VIEWER,
        says="mode, health, trading, prices, positions, the newest five signals and orders",
        answers={OK: dashboard.SummaryBody},
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/market",
        name="list_market_prices",
        handler=market.overview,
        role=Role.VIEWER,
        says="newest row of every market, or of `market`",
        answers={OK: bodies.MarketRowsBody},
        query=(MARKET,),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/market/latest",
        name="get_market_price",
        handler=market.latest,
        role=Role.VIEWER,
        says="newest row of one market, as an object",
        answers={OK: bodies.MarketRowBody},
        query=(MARKET,),
        problems=(NotFound, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/market/history",
        name="list_market_history",
        handler=market.history,
        role=Role.VIEWER,
        says="list of collected rows",
        answers={OK: bodies.MarketRowsBody},
        query=(MARKET, *PAGE),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/market/candles",
        name="list_candles",
        handler=market.candles,
        role=Role.VIEWER,
        says="list of candles",
        answers={OK: bodies.CandlesBody},
        query=(
            MARKET,
            ChoiceParameter(
                name="timeframe", kind=Timeframe, default=Timeframe.M1, says="length of a candle"
            ),
            *PAGE,
        ),
        problems=STORE,
        is_revalidated=True,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/market/summary",
        name="get_market_summary",
        handler=market.summary,
        role=Role.VIEWER,
        says="count, first, last, low, high, average, change",
        answers={OK: bodies.MarketSummaryBody},
        query=(MARKET, NumberParameter(name="hours", default=24, high=744, says="until now")),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/market/collector/stats",
        name="get_collector_stats",
        handler=market.collector_stats,
        role=Role.VIEWER,
        says=(
            "rows, newest row and longest gap a market, the collecting job, the exchange's streams,"
            " and the age of each price with the doubt about it"
        ),
        answers={OK: market.CollectorBody},
        query=(MARKET, _WEEK),
        problems=STORE,
    ),
)
