"""The rows of signals."""

from typing import Final

from service.domain.errors import (
    BoundaryError,
    DomainError,
    ModelBudgetUsedUp,
    ModelQuotaUsedUp,
    ModelRefused,
    ModelUnpriced,
    NotFound,
    NotLeader,
    TooSoon,
    UnknownMarket,
)
from service.domain.signals import Action
from service.web.api import signals
from service.web.contract import signal_bodies as bodies
from service.web.contract.parameters import MARKET, MAX_ID, PAGE, ChoiceParameter, NumberParameter
from service.web.contract.requests import GenerateBody
from service.web.contract.roles import Role
from service.web.contract.route import CREATED, OK, STORE, RouteRow

ROUTES: Final = (
    RouteRow(
        method="GET",
        path=signals.PATH,
        name="list_signals",
        handler=signals.signals,
        role=Role.VIEWER,
        says=(
            "list of signals with their decisions and orders; `decision.lapsed` says why an allowed"
            " one has no order"
        ),
        answers={OK: bodies.SignalRowsBody},
        query=(
            MARKET,
            ChoiceParameter(name="action", kind=Action),
            NumberParameter(
                name="market_data_id",
                high=MAX_ID,
                says="those made from this row of `market/history`",
            ),
            *PAGE,
        ),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{signals.PATH}/latest",
        name="list_latest_signals",
        handler=signals.latest,
        role=Role.VIEWER,
        says="newest signal of every market, or of `market`",
        answers={OK: bodies.SignalRowsBody},
        query=(MARKET,),
        problems=STORE,
    ),
    RouteRow(
        method="GET",
        path=f"{signals.PATH}/{{id}}",
        name="get_signal",
        handler=signals.signal,
        role=Role.VIEWER,
        says=(
            "one signal with the facts it was made from and `checks`,"
            " [what each rule found](rules.md)"
        ),
        answers={OK: bodies.WholeSignalBody},
        problems=(NotFound, *STORE),
    ),
    RouteRow(
        method="POST",
        path=f"{signals.PATH}/generate",
        name="generate_signal",
        handler=signals.generate,
        role=Role.ADMIN,
        says=(
            'requests a signal from the model now; body `{"market": "KRW-BTC"}` or empty; 201 with'
            " the signal, which may become an order; 409 when nothing is traded; 429 within"
            " `signal_cooldown_minutes`"
        ),
        answers={CREATED: bodies.WholeSignalBody},
        body=GenerateBody,
        problems=(
            UnknownMarket,
            DomainError,
            NotLeader,
            TooSoon,
            BoundaryError,
            ModelRefused,
            ModelQuotaUsedUp,
            ModelBudgetUsedUp,
            ModelUnpriced,
            *STORE,
        ),
    ),
)
