"""The rows of results and deposits."""

from typing import Final

from service.domain.errors import DepositDetected, DomainError, NotFound
from service.web.api import deposits, portfolio
from service.web.contract import portfolio_bodies as bodies
from service.web.contract.parameters import MARKET, PAGE, QUOTE, InstantParameter, NumberParameter
from service.web.contract.requests import NewDepositBody
from service.web.contract.roles import Role
from service.web.contract.route import API, CREATED, OK, STORE, RouteRow

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=f"{API}/portfolio/summary",
        name="get_portfolio_summary",
        handler=portfolio.summary,
        role=Role.VIEWER,
        says=(
            "the account's equity, deposits and return on them, and the profit and loss, average"
            " return, win rate and drawdown of today, 7, 30 and `days` Korean days"
        ),
        answers={OK: bodies.PortfolioSummaryBody},
        query=(
            QUOTE,
            NumberParameter(
                name="days", default=30, high=366, says="a period more, in Korean days"
            ),
        ),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/portfolio/equity",
        name="get_equity_curve",
        handler=portfolio.equity,
        role=Role.VIEWER,
        says=(
            "the equity curve, oldest first, with deposits, returns and drawdowns without them; by"
            " default of the last 24 h, at most of 366 days"
        ),
        answers={OK: bodies.EquityCurveBody},
        query=(
            InstantParameter(name="from", says="begin of the window; a day before its end"),
            InstantParameter(name="to", says="end of the window; now"),
            NumberParameter(name="points", default=200, high=500, says="of the curve, at most"),
            QUOTE,
        ),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/portfolio/daily",
        name="list_days",
        handler=portfolio.daily,
        role=Role.VIEWER,
        says=(
            "list of the account's Korean days: equity at start and end, deposits, realised P&L,"
            " fees, fills, won and lost sales, what stopped trading; with `market` instead of"
            " `quote` the days on which that market traded, with volumes"
        ),
        answers={OK: bodies.DaysBody},
        query=(QUOTE, MARKET, *PAGE),
        problems=STORE,
        is_revalidated=True,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/portfolio/deposits",
        name="list_deposits",
        handler=deposits.deposits,
        role=Role.VIEWER,
        says="list of deposits and withdrawals (negative), detected or told by an operator",
        answers={OK: bodies.DepositsBody},
        query=PAGE,
        problems=STORE,
    ),
    RouteRow(
        method="POST",
        path=f"{API}/portfolio/deposits",
        name="add_deposit",
        handler=deposits.add_deposit,
        role=Role.ADMIN,
        says=(
            'tells of a deposit, or corrects a detected one: `{"currency": "KRW", "amount":'
            ' "-500000", "at": "2026-01-24T09:00:00Z", "note": "…"}`, the last two optional, or'
            ' `"corrects": 7` instead of `at`; the same told twice is one; 409 `deposit-detected`'
            " ([below](#portfolio))"
        ),
        answers={CREATED: bodies.DepositBody},
        body=NewDepositBody,
        problems=(NotFound, DomainError, DepositDetected, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/portfolio/differences",
        name="list_differences",
        handler=deposits.differences,
        role=Role.VIEWER,
        says=(
            "what the account should hold and what it holds, a currency, where nothing explains the"
            " difference"
        ),
        answers={OK: bodies.DifferencesBody},
        problems=STORE,
    ),
)
