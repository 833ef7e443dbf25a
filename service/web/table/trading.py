"""The rows of orders, fills, positions and balances."""

from typing import Final

from service.domain.errors import (
    AbsenceRefused,
    BoundaryError,
    DomainError,
    ExchangeRefused,
    InvalidOrder,
    KeyReused,
    NotFound,
    NotLeader,
    OrderRefused,
    OutcomeUnknown,
    TooSoon,
    UnknownMarket,
)
from service.domain.orders import OrderStatus
from service.web.api import manual_orders, trading
from service.web.contract import order_bodies as bodies
from service.web.contract.parameters import MARKET, PAGE, ChoiceParameter
from service.web.contract.requests import EmptyBody, PlaceOrderBody
from service.web.contract.roles import Role
from service.web.contract.route import ACCEPTED, API, CREATED, OK, STORE, RequestHeader, RouteRow

_ORDERS: Final = f"{API}/trading/orders"
_EXCHANGE: Final = (BoundaryError, ExchangeRefused)

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=_ORDERS,
        name="list_orders",
        handler=trading.orders,
        role=Role.VIEWER,
        says=(
            "list of orders; each with `stuck` and `what_to_do`"
            " ([health.md](health.md#orders-that-are-not-final))"
        ),
        answers={OK: bodies.OrderRowsBody},
        query=(MARKET, ChoiceParameter(name="status", kind=OrderStatus), *PAGE),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{_ORDERS}/external",
        name="list_external_orders",
        handler=manual_orders.external,
        role=Role.VIEWER,
        says=(
            "the account's open orders that this service did not send (`origin` EXTERNAL), with"
            " `age_seconds` of the exchange's answer, two seconds at most; they are never touched"
        ),
        answers={OK: manual_orders.ExternalOrdersBody},
        problems=_EXCHANGE,
    ),
    RouteRow(
        method="GET",
        path=f"{_ORDERS}/{{id}}",
        name="get_order",
        handler=trading.order,
        role=Role.VIEWER,
        says=(
            "one order with its fills and the rules' findings; `origin` is `SERVICE` or"
            " `RECOVERED`, `rule` names the rule of [protection](operations.md#protection) that"
            " sold, `quarantine_detail` has the numbers of an order that is"
            " [put aside](health.md#orders-that-are-put-aside)"
        ),
        answers={OK: bodies.WholeOrderBody},
        problems=(NotFound, *STORE),
    ),
    RouteRow(
        method="POST",
        path=_ORDERS,
        name="place_order",
        handler=manual_orders.place,
        role=Role.ADMIN,
        says=(
            "places an order by hand, once for each `Idempotency-Key` ([below](#orders-by-hand));"
            " 201 with the order, 200 for a repeat; 409 `order-refused` with the `rule`; 422"
            " `invalid-order`, `key-reused`"
        ),
        answers={CREATED: bodies.WholeOrderBody, OK: bodies.WholeOrderBody},
        headers=(
            RequestHeader(
                name=manual_orders.IDEMPOTENCY_KEY,
                says="a new one for each order; the same one makes no second order",
                pattern="^[!-~]{1,255}$",
            ),
        ),
        body=PlaceOrderBody,
        problems=(
            UnknownMarket,
            DomainError,
            NotLeader,
            OrderRefused,
            InvalidOrder,
            KeyReused,
            *_EXCHANGE,
            OutcomeUnknown,
            *STORE,
        ),
    ),
    RouteRow(
        method="POST",
        path=f"{_ORDERS}/{{id}}/cancel",
        name="cancel_order",
        handler=manual_orders.cancel,
        role=Role.ADMIN,
        says=(
            "has an open order end; an empty body; 202 with the order: accepted, not done. 409 for"
            " one that has ended in another way"
        ),
        answers={ACCEPTED: bodies.WholeOrderBody},
        body=EmptyBody,
        problems=(NotFound, DomainError, NotLeader, *_EXCHANGE, OutcomeUnknown, *STORE),
    ),
    RouteRow(
        method="POST",
        path=f"{_ORDERS}/{{id}}/not-placed",
        name="declare_order_not_placed",
        handler=manual_orders.not_placed,
        role=Role.ADMIN,
        says=(
            "ends an order of unknown outcome that never reached the exchange, by your word"
            " ([below](#an-order-that-never-arrived)); an empty body; 200 with the order, a repeat"
            " too; 409 `absence-refused` with the `rule`"
        ),
        answers={OK: bodies.WholeOrderBody},
        body=EmptyBody,
        problems=(NotFound, DomainError, AbsenceRefused, NotLeader, *_EXCHANGE, *STORE),
    ),
    RouteRow(
        method="POST",
        path=f"{_ORDERS}/sync",
        name="sync_orders",
        handler=trading.sync,
        role=Role.ADMIN,
        says=(
            'looks every open order up at the exchange now; `{"reconciled": 3}`; 409 where this'
            " process does not trade; 429 `too-soon` while another request does so"
        ),
        answers={OK: trading.SyncBody},
        body=EmptyBody,
        problems=(NotLeader, TooSoon, *_EXCHANGE, *STORE),
    ),
    RouteRow(
        method="GET",
        path=f"{API}/trading/fills",
        name="list_fills",
        handler=trading.fills,
        role=Role.VIEWER,
        says="list of fills",
        answers={OK: bodies.FillsBody},
        query=(MARKET, *PAGE),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/trading/position",
        name="list_positions",
        handler=trading.position,
        role=Role.VIEWER,
        says=(
            "a position for every collected market and every other market that is held, valued at"
            " the newest collected price; `protection` has what [`risk/status`](#risk) shows of its"
            " stop"
        ),
        answers={OK: trading.PositionsBody},
        query=(MARKET,),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/trading/balance",
        name="list_balances",
        handler=trading.balance,
        role=Role.VIEWER,
        says=(
            "currencies as the exchange says: available, locked, total. All who ask within two"
            " seconds get one answer, `age_seconds` old; 503 without the exchange"
        ),
        answers={OK: trading.BalancesBody},
        problems=_EXCHANGE,
    ),
)
