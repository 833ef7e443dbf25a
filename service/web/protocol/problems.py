"""The table from errors to HTTP answers: RFC 9457 problem details."""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, NamedTuple, NotRequired

from aiohttp import hdrs, web
from typing_extensions import TypedDict

from service.domain.errors import (
    AbsenceRefused,
    BoundaryError,
    DepositDetected,
    DomainError,
    ExchangeRefused,
    InvalidOrder,
    InvalidRequest,
    InvalidSetting,
    KeyReused,
    ModelBudgetUsedUp,
    ModelQuotaUsedUp,
    ModelRefused,
    ModelUnpriced,
    NotAllowed,
    NotFound,
    NotLeader,
    OrderRefused,
    OutcomeUnknown,
    ServiceError,
    StoreBusy,
    StoreDown,
    StoreTimeout,
    TooSoon,
    UnknownMarket,
    UnknownSetting,
)
from service.web.protocol.errors import (
    BodyTooLarge,
    BodyTooSlow,
    CrossSite,
    ExpectationFailed,
    InvalidCursor,
    NoCredentials,
    NotJson,
    Overloaded,
    TooManyTries,
    WrongHost,
)
from service.web.protocol.responses import encoded

PROBLEM_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:trader:problem:"
_RETRY_AFTER_S: Final = 5  #: for a 503 by an error without `retry_after_s`; StoreBusy has its own


class ProblemKind(NamedTuple):
    status: int
    slug: str  #: stable; `type` ends with it
    title: str


#: The nearest class in the error's __mro__ wins. docs/api.md explains each slug.
KINDS: Final[Mapping[type[ServiceError], ProblemKind]] = {
    DomainError: ProblemKind(409, "conflict", "This cannot be done now"),
    InvalidRequest: ProblemKind(400, "invalid-request", "The request is malformed"),
    InvalidCursor: ProblemKind(400, "invalid-cursor", "The cursor is malformed"),
    NotJson: ProblemKind(415, "not-json", "The body is not JSON"),
    BodyTooLarge: ProblemKind(413, "body-too-large", "The body is too large"),
    ExpectationFailed: ProblemKind(417, "expectation-failed", "This cannot be expected here"),
    BodyTooSlow: ProblemKind(408, "body-too-slow", "The body did not arrive in time"),
    InvalidSetting: ProblemKind(422, "invalid-setting", "The setting's value is not acceptable"),
    InvalidOrder: ProblemKind(422, "invalid-order", "The market takes no such order"),
    DepositDetected: ProblemKind(409, "deposit-detected", "The account has shown it already"),
    KeyReused: ProblemKind(422, "key-reused", "The key is another order's"),
    OrderRefused: ProblemKind(409, "order-refused", "The rules refuse the order"),
    AbsenceRefused: ProblemKind(409, "absence-refused", "The order may be at the exchange"),
    NotFound: ProblemKind(404, "not-found", "There is no such thing"),
    UnknownMarket: ProblemKind(404, "unknown-market", "There is no such market"),
    UnknownSetting: ProblemKind(404, "unknown-setting", "There is no such setting"),
    NotAllowed: ProblemKind(403, "not-allowed", "Your role may not do this"),
    NoCredentials: ProblemKind(401, "no-credentials", "Say who you are"),
    TooManyTries: ProblemKind(429, "too-many-tries", "Too many wrong tokens"),
    WrongHost: ProblemKind(421, "wrong-host", "This service does not answer under that name"),
    CrossSite: ProblemKind(403, "cross-site", "Another site may not change anything here"),
    Overloaded: ProblemKind(503, "overloaded", "The service is busy"),
    NotLeader: ProblemKind(409, "not-leader", "This process does not trade now"),
    TooSoon: ProblemKind(429, "too-soon", "Too soon after the last time"),
    BoundaryError: ProblemKind(503, "unavailable", "Something this service needs does not answer"),
    ExchangeRefused: ProblemKind(502, "exchange-refused", "The exchange refused"),
    ModelRefused: ProblemKind(502, "model-refused", "The model's service refused"),
    ModelQuotaUsedUp: ProblemKind(503, "model-quota", "The model's quota of the day is used up"),
    ModelBudgetUsedUp: ProblemKind(503, "model-budget", "The model's budget of the day is used up"),
    ModelUnpriced: ProblemKind(409, "model-unpriced", "The model's price is not known"),
    OutcomeUnknown: ProblemKind(502, "outcome-unknown", "It is not known yet whether it happened"),
    StoreBusy: ProblemKind(503, "store-busy", "The database is busy"),
    StoreDown: ProblemKind(503, "store-down", "The database does not answer"),
    StoreTimeout: ProblemKind(504, "store-timeout", "The database took too long"),
}

HTTP_KINDS: Final = {
    404: ProblemKind(404, "not-found", "There is no such address"),
    405: ProblemKind(405, "method-not-allowed", "This address does not take that method"),
    413: ProblemKind(413, "body-too-large", "The body is too large"),
}
INTERNAL: Final = ProblemKind(500, "internal-error", "The service failed; its log says why")


class ProblemBody(TypedDict):
    type: str
    title: str
    status: int
    detail: NotRequired[str]
    request_id: str
    rule: NotRequired[str]  #: that refused an order


def problem_of(error: ServiceError, request_id: str) -> web.Response | None:
    """Return the answer to a known error; None for one without a row in the table: a bug."""
    for kind in type(error).__mro__:
        if kind in KINDS:
            return _problem(
                KINDS[kind],
                request_id,
                detail=str(error),
                headers=_headers(error, KINDS[kind]),
                rule=error.rule if isinstance(error, OrderRefused) else None,
            )
    return None


def problem_of_http(error: web.HTTPException, request_id: str) -> web.Response:
    """Return the answer to aiohttp's own error, with its headers such as Allow."""
    kind = HTTP_KINDS.get(error.status)
    if kind is None:
        phrase = HTTPStatus(error.status).phrase
        kind = ProblemKind(error.status, phrase.lower().replace(" ", "-"), phrase)
    dropped = {hdrs.CONTENT_TYPE, hdrs.CONTENT_LENGTH}
    headers = {name: value for name, value in error.headers.items() if name not in dropped}
    return _problem(kind, request_id, headers=headers)


def internal_problem(request_id: str) -> web.Response:
    """Return the answer to a bug: the request id, by which the log has the details."""
    return _problem(INTERNAL, request_id)


def _problem(
    kind: ProblemKind,
    request_id: str,
    *,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    rule: str | None = None,
) -> web.Response:
    body = ProblemBody(
        type=TYPE_PREFIX + kind.slug, title=kind.title, status=kind.status, request_id=request_id
    )
    if detail:
        body["detail"] = detail
    if rule is not None:
        body["rule"] = rule
    return web.Response(
        body=encoded(body), status=kind.status, headers=headers, content_type=PROBLEM_TYPE
    )


def _headers(error: ServiceError, kind: ProblemKind) -> dict[str, str]:
    headers: dict[str, str] = {}
    if kind.status == HTTPStatus.UNAUTHORIZED:
        headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="trader"'
    wait_s = getattr(error, "retry_after_s", None)
    if wait_s is None and kind.status == HTTPStatus.SERVICE_UNAVAILABLE:
        wait_s = _RETRY_AFTER_S
    if wait_s is not None:
        headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(wait_s)))
    return headers
