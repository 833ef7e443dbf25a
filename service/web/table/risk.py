"""The rows of the trading state and its halts. These changes wait behind no other request."""

from typing import Final

from service.domain.errors import BoundaryError, DomainError, NotLeader, UnknownMarket
from service.web.api import risk
from service.web.contract.log_bodies import RiskEventKind, RiskEventsBody
from service.web.contract.parameters import PAGE, ChoiceParameter
from service.web.contract.requests import FlattenRequestBody, HaltRequestBody, ResumeBody
from service.web.contract.roles import Role
from service.web.contract.route import ACCEPTED, API, OK, STORE, RouteRow

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=f"{API}/risk/status",
        name="get_risk_status",
        handler=risk.status,
        role=Role.VIEWER,
        says=(
            "the trading state from memory, its halts, the switch, the lease; limits and positions,"
            " null while the database is away ([risk](#risk))"
        ),
        answers={OK: risk.RiskStatusBody},
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{API}/risk/events",
        name="list_risk_events",
        handler=risk.events,
        role=Role.VIEWER,
        says=(
            "list of halts, their ends, refused orders ([below](#orders-by-hand)), allowed"
            " decisions that got no order, and exits with rule, price and limit"
        ),
        answers={OK: RiskEventsBody},
        query=(ChoiceParameter(name="event", kind=RiskEventKind), *PAGE),
        problems=STORE,
    ),
    RouteRow(
        method="POST",
        path=f"{API}/risk/halt",
        name="halt",
        handler=risk.halt,
        role=Role.ADMIN,
        says=(
            'halts at once: `{"reason": "…", "protection": true}`, with `"market": "KRW-BTC"` for'
            " one market; answers the new state, also while the database is away"
        ),
        answers={OK: risk.StateBody},
        body=HaltRequestBody,
        problems=(UnknownMarket, *STORE),
        is_queued=False,
    ),
    RouteRow(
        method="POST",
        path=f"{API}/risk/resume",
        name="resume",
        handler=risk.resume,
        role=Role.ADMIN,
        says=(
            'ends what only an operator ends, or `{"reasons": ["…"]}`; answers the state with what'
            " ended and what still stands; 503 while the database is away"
        ),
        answers={OK: risk.ResumedBody},
        body=ResumeBody,
        problems=(DomainError, *STORE),
        is_queued=False,
    ),
    RouteRow(
        method="POST",
        path=f"{API}/risk/flatten",
        name="flatten",
        handler=risk.flatten,
        role=Role.ADMIN,
        says=(
            "halts, cancels our open orders and sells what we hold:"
            ' `{"markets": null, "confirm": "FLATTEN"}`, or a list of markets; 202 with the state'
            " and how far each market is; 409 where this process does not trade"
        ),
        answers={ACCEPTED: risk.StateBody},
        body=FlattenRequestBody,
        problems=(UnknownMarket, NotLeader, BoundaryError, *STORE),
        is_queued=False,
    ),
)
