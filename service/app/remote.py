"""Asks the running service over HTTP, for the command line."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import closing
from typing import Any, Final, cast, get_type_hints
from urllib.parse import quote, urlencode, urlsplit

from typing_extensions import is_typeddict

from service.config import Config, is_loopback
from service.domain.errors import BoundaryError, OrderRefused, OutcomeUnknown, StartError
from service.ports.machine import SystemBody

TIMEOUT_S: Final = 10.0
_JOBS: Final = "/api/v1/admin/jobs"
_SYSTEM: Final = "/api/v1/admin/system"
_ALERTS: Final = "/api/v1/alerts"
_RISK: Final = "/api/v1/risk"
_ORDERS: Final = "/api/v1/trading/orders"


class NoAnswer(BoundaryError):
    """The service could not be asked, or said no; the sentence has the remedy.

    Attributes:
        status: of the refusal; None without an answer of the service.
        rule: that refused an order.
        detail: the service's own sentence.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        rule: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.rule = rule
        self.detail = detail


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    # urllib would send the token along to wherever it is sent.
    def redirect_request(self, *_: object) -> None:
        return None


def jobs(config: Config, url: str | None) -> list[dict[str, Any]]:
    """Return every job as the service describes it. Raises: NoAnswer, StartError."""
    body = _ask("GET", _JOBS, config, url)
    try:
        return list(body["items"])
    except (KeyError, TypeError):
        raise _not_ours(_address(config, url)) from None


def run_job(config: Config, url: str | None, name: str) -> dict[str, Any]:
    """Have a pass of `name` now. Raises: NoAnswer, StartError."""
    body = _ask("POST", f"{_JOBS}/{quote(name, safe='')}/run", config, url)
    if not isinstance(body, dict) or "running" not in body:
        raise _not_ours(_address(config, url))
    return body


def system(config: Config, url: str | None) -> SystemBody:
    """Return the machine and what the service uses of it. Raises: NoAnswer, StartError."""
    body = _ask("GET", _SYSTEM, config, url)
    if not _has(body, SystemBody):
        raise _not_ours(_address(config, url))
    return cast("SystemBody", body)


def acknowledge(config: Config, url: str | None, alert_id: int) -> dict[str, Any]:
    """Acknowledge the alert; return it. Raises: NoAnswer, StartError."""
    body = _ask("POST", f"{_ALERTS}/{alert_id}/acknowledge", config, url)
    if not isinstance(body, dict) or "acknowledged_by" not in body:
        raise _not_ours(_address(config, url))
    return body


def change_risk(
    config: Config, url: str | None, change: str, asked: Mapping[str, object]
) -> dict[str, Any]:
    """Make a change, e.g. halt, and return the state after it. Raises: NoAnswer, StartError."""
    body = _ask("POST", f"{_RISK}/{change}", config, url, asked)
    if not isinstance(body, dict) or not {"state", "halts", "flatten", "stored"} <= body.keys():
        raise _not_ours(_address(config, url))
    return body


def orders(config: Config, url: str | None, asked: Mapping[str, object]) -> dict[str, Any]:
    """Return a page of orders, newest first. Raises: NoAnswer, StartError.

    Args: asked: the query, e.g. status; what is None is left out.
    """
    query = urlencode({name: value for name, value in asked.items() if value is not None})
    return _page(_ask("GET", f"{_ORDERS}?{query}", config, url), config, url)


def external_orders(config: Config, url: str | None) -> dict[str, Any]:
    """Return the account's open orders that the service did not send. Raises: as `orders`."""
    return _page(_ask("GET", f"{_ORDERS}/external", config, url), config, url)


def order(config: Config, url: str | None, order_id: int) -> dict[str, Any]:
    """Return one order with its fills. Raises: NoAnswer, StartError."""
    return _order(_ask("GET", f"{_ORDERS}/{order_id}", config, url), config, url)


def place_order(
    config: Config, url: str | None, asked: Mapping[str, object], *, key: str
) -> dict[str, Any]:
    """Place an order, once for each `key`; return its row.

    Raises: OrderRefused, with the rule; NoAnswer, when the service made no order; OutcomeUnknown,
        when it may have made one; StartError.
    """
    try:
        body = _ask("POST", _ORDERS, config, url, asked, headers={"Idempotency-Key": key})
        return _order(body, config, url)
    except NoAnswer as exc:
        if exc.rule is not None:
            raise OrderRefused(exc.detail or str(exc), rule=exc.rule) from exc
        if exc.status is not None and exc.status < http.HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        raise OutcomeUnknown(str(exc)) from exc


def cancel_order(config: Config, url: str | None, order_id: int) -> dict[str, Any]:
    """Have an open order end; return its row. Raises: NoAnswer, StartError."""
    return _order(_ask("POST", f"{_ORDERS}/{order_id}/cancel", config, url), config, url)


def declare_not_placed(config: Config, url: str | None, order_id: int) -> dict[str, Any]:
    """Say that an order never reached the exchange; return its row.

    Raises: OrderRefused, with the rule; NoAnswer; StartError.
    """
    try:
        body = _ask("POST", f"{_ORDERS}/{order_id}/not-placed", config, url)
    except NoAnswer as exc:
        if exc.rule is not None:
            raise OrderRefused(exc.detail or str(exc), rule=exc.rule) from exc
        raise
    return _order(body, config, url)


def _has(body: object, shape: type) -> bool:
    """Whether every key of a `TypedDict` is there, in its parts too."""
    parts = get_type_hints(shape)
    return isinstance(body, dict) and all(
        key in body and (not is_typeddict(part) or _has(body[key], part))
        for key, part in parts.items()
    )


def _page(body: object, config: Config, url: str | None) -> dict[str, Any]:
    if not isinstance(body, dict) or not isinstance(body.get("items"), list):
        raise _not_ours(_address(config, url))
    return body


def _order(body: object, config: Config, url: str | None) -> dict[str, Any]:
    if not isinstance(body, dict) or not {"id", "status", "market", "side"} <= body.keys():
        raise _not_ours(_address(config, url))
    return body


def _ask(
    method: str,
    path: str,
    config: Config,
    url: str | None,
    body: Mapping[str, object] | None = None,
    *,
    headers: Mapping[str, str] | None = None,
) -> Any:  # noqa: ANN401 - JSON
    address = _address(config, url)
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(  # noqa: S310 - checked below
        address + path, method=method, data=data, headers=dict(headers or {})
    )
    if data is not None:
        request.add_header("Content-Type", "application/json")
    token = config.admin_token or (config.viewer_token if method == "GET" else None)
    if token is not None:
        request.add_header("Authorization", f"Bearer {token.get_secret_value()}")
    # No proxy: it would see the token.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)
    try:
        with opener.open(request, timeout=TIMEOUT_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as exc:
        with closing(exc):
            raise _refusal(exc, address) from None
    except (OSError, http.client.HTTPException) as exc:
        reason = getattr(exc, "reason", exc)
        raise NoAnswer(
            f"Nobody answers at {address} ({reason}): start the service, or name it with --url"
        ) from None
    except ValueError:
        raise _not_ours(address) from None


def _address(config: Config, url: str | None) -> str:
    """Return where to ask. Raises: StartError, for what is no place to send a token to."""
    if url is None and config.port == 0:
        raise StartError("TRADER_PORT=0 takes any free port: name the service's with --url")
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    own = f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
    address = (url or own).rstrip("/")
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username:
        raise StartError("--url: write a whole address, like http://127.0.0.1:8080")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise StartError(
            "--url: plain http is for this machine only, because the token travels with the"
            " question; use https, or run the command where the service runs"
        )
    return address


def _refusal(exc: urllib.error.HTTPError, address: str) -> NoAnswer:
    status = exc.code
    try:
        problem = json.load(exc)
        detail, rule = str(problem["detail"]), problem.get("rule")
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, AttributeError):
        sentence = f"{address} answers {status}: is that the trader service? Name it with --url"
        return NoAnswer(sentence, status=status)
    if status == http.HTTPStatus.UNAUTHORIZED:
        sentence = f"{address} wants a token ({detail}): set TRADER_ADMIN_TOKEN here as well"
    else:
        sentence = f"{address} says no ({status}): {detail}"
    return NoAnswer(
        sentence, status=status, rule=None if rule is None else str(rule), detail=detail
    )


def _not_ours(address: str) -> NoAnswer:
    return NoAnswer(f"What answers at {address} is not this service: name it with --url")
