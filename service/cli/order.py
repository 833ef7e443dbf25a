"""List, show, place, cancel and give up orders of the running service."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer

from service.cli.options import AsJson, Url
from service.cli.output import Column, Table, print_json, print_table, printable
from service.cli.resources import load_config
from service.domain.errors import OrderRefused, OutcomeUnknown, StartError

OrderId = Annotated[int, typer.Argument(metavar="ID", min=1)]
Market = Annotated[str | None, typer.Option("--market", help="KRW-BTC; all without it")]
Status = Annotated[str | None, typer.Option("--status", help="e.g. SUBMITTED; all without it")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="so many orders, the newest first")]
Cursor = Annotated[str | None, typer.Option("--cursor", help="next_cursor of the page before")]
External = Annotated[
    bool, typer.Option("--external", help="the account's open orders that are not ours")
]
Side = Annotated[str, typer.Argument(metavar="SIDE", help="buy or sell")]
OrderMarket = Annotated[str, typer.Argument(metavar="MARKET", help="KRW-BTC")]
Volume = Annotated[str | None, typer.Option("--volume", help="coins; not for a market purchase")]
Price = Annotated[str | None, typer.Option("--price", help="on the tick; makes it a limit order")]
Funds = Annotated[str | None, typer.Option("--funds", help="money of a market purchase, no fee")]
Key = Annotated[
    str | None,
    typer.Option("--key", help="Idempotency-Key: the same one never makes a second order"),
]

_STATUSES: Final = {
    "EXECUTED": "green",
    "UNKNOWN": "bold red",
    "FAILED": "bold red",
    "PENDING": "yellow",
}
_COLUMNS: Final = (
    Column(title="id", is_number=True),
    Column(title="created"),
    Column(title="market"),
    Column(title="side"),
    Column(title="type"),
    Column(title="price", is_number=True),
    Column(title="asked", is_number=True),
    Column(title="executed", is_number=True),
    Column(title="status", styles=_STATUSES),
    Column(title="note"),
)
_EXTERNAL_COLUMNS: Final = (
    Column(title="exchange uuid"),
    Column(title="created"),
    Column(title="market"),
    Column(title="side"),
    Column(title="type"),
    Column(title="price", is_number=True),
    Column(title="asked", is_number=True),
    Column(title="executed", is_number=True),
)
_FILL_COLUMNS: Final = (
    Column(title="traded"),
    Column(title="price", is_number=True),
    Column(title="volume", is_number=True),
    Column(title="funds", is_number=True),
    Column(title="fee", is_number=True),
)
#: What `show` prints of an order, where it has it.
_SHOWN: Final = (
    "id", "status", "market", "side", "type", "price", "volume", "funds", "executed_volume",
    "executed_funds", "average_price", "paid_fee", "reason", "origin", "rule", "identifier",
    "exchange_uuid", "decision_id", "created_at", "sent_at", "updated_at", "quarantined_at",
    "quarantine_reason", "what_to_do",
)  # fmt: skip
_LONGEST_KEY: Final = 255
_ENDED: Final = frozenset({"EXECUTED", "CANCELLED", "FAILED"})


def list_orders(
    *,
    market: Market = None,
    status: Status = None,
    external: External = False,
    limit: Limit = 20,
    cursor: Cursor = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Print the newest orders of the running service, or the account's other open orders."""
    if external and (market or status or cursor):
        raise StartError("--external lists every open order that is not ours: name nothing else")
    config = load_config()
    from service.app.remote import external_orders, orders

    if external:
        page = external_orders(config, url)
    else:
        asked = {"market": market, "status": status and status.upper()}
        page = orders(config, url, asked | {"limit": limit, "cursor": cursor})
    if as_json:
        print_json(page)
        return
    rows = [_external_row(one) if external else _row(one) for one in page["items"]]
    print_table(Table(columns=_EXTERNAL_COLUMNS if external else _COLUMNS, rows=rows))


def show(order_id: OrderId, *, url: Url = None, as_json: AsJson = False) -> None:
    """Print one order of the running service with its fills and what to do about it."""
    config = load_config()
    from service.app.remote import order

    shown = order(config, url, order_id)
    if as_json:
        print_json(shown)
        return
    for name in _SHOWN:
        if shown.get(name) is not None:
            print(f"{name}: {printable(str(shown[name]))}")
    if fills := shown.get("fills"):
        names = ("traded_at", "price", "volume", "funds", "fee")
        print_table(Table(columns=_FILL_COLUMNS, rows=[_cells(one, names) for one in fills]))


def place(
    side: Side,
    market: OrderMarket,
    *,
    volume: Volume = None,
    price: Price = None,
    funds: Funds = None,
    key: Key = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Place an order by hand: a limit order with --price, else a market order.

    The rules of a signal's order hold for it. Exit code 1 when there is no order: a rule or the
    exchange refused it.
    """
    config = load_config()
    from service.app.remote import place_order

    key = _new_key() if key is None else _checked(key)
    asked = {"market": market, "side": side.upper(), "type": "LIMIT" if price else "MARKET"}
    amounts = {"volume": volume, "price": price, "funds": funds}
    asked |= {name: amount for name, amount in amounts.items() if amount is not None}
    try:
        order = place_order(config, url, asked, key=key)
    except OrderRefused as exc:
        raise _refused(exc) from None
    except OutcomeUnknown as exc:
        raise OutcomeUnknown(f"{exc}. {_again(key)}") from exc
    except KeyboardInterrupt:
        print(_again(key), file=sys.stderr)
        raise
    _print(order, as_json=as_json, words=_sentence(order))
    if order["status"] == "FAILED":
        raise typer.Exit(1)


def cancel(order_id: OrderId, *, url: Url = None, as_json: AsJson = False) -> None:
    """Have an open order of the running service end; accepted is not done yet."""
    config = load_config()
    from service.app.remote import cancel_order

    order = cancel_order(config, url, order_id)
    words = _sentence(order)
    if order["status"] not in _ENDED:
        words += "; cancel accepted, the service follows the order until it is final"
    _print(order, as_json=as_json, words=words)


def not_placed(order_id: OrderId, *, url: Url = None, as_json: AsJson = False) -> None:
    """Say that an UNKNOWN order never reached the exchange; it ends, and its market is free.

    Search the exchange's own list of orders first. Exit code 1 when a rule refuses the word.
    """
    config = load_config()
    from service.app.remote import declare_not_placed

    try:
        order = declare_not_placed(config, url, order_id)
    except OrderRefused as exc:
        raise _refused(exc) from None
    _print(order, as_json=as_json, words=_sentence(order))


def _refused(error: OrderRefused) -> typer.Exit:
    """Print the rule. It is no error of the command: the service has answered."""
    print(printable(f"refused by the rule {error.rule}: {error}"), file=sys.stderr)
    return typer.Exit(1)


def _print(order: dict[str, Any], *, as_json: bool, words: str) -> None:
    if as_json:
        print_json(order)
    else:
        print(printable(words))


def _new_key() -> str:
    from uuid import uuid4

    return str(uuid4())


def _checked(key: str) -> str:
    """Raises: StartError, for a key that no header can carry."""
    if 1 <= len(key) <= _LONGEST_KEY and all("!" <= char <= "~" for char in key):
        return key
    raise StartError(f"--key: 1 to {_LONGEST_KEY} visible ASCII characters, without spaces")


def _again(key: str) -> str:
    return (
        "Whether the order was placed is not known. The same command with"
        f" --key {key} finds that order or places it, never a second one"
    )


def _sentence(order: Mapping[str, Any]) -> str:
    """Return an order in one line, e.g. `7: SUBMITTED, BUY LIMIT KRW-BTC 0.001 at 90000000`."""
    kind = " ".join(str(order.get(name)) for name in ("side", "type", "market"))
    at = f" at {order['price']}" if order.get("price") else ""
    note = f" ({_note(order)})" if _note(order) else ""
    return f"{order['id']}: {order['status']}, {kind} {_asked(order)}{at}{note}"


def _row(order: Mapping[str, Any]) -> Sequence[str]:
    leading = _cells(order, ("id", "created_at", "market", "side", "type", "price"))
    executed, status = _cells(order, ("executed_volume", "status"))
    return (*leading, _asked(order), executed, status, _note(order))


def _external_row(order: Mapping[str, Any]) -> Sequence[str]:
    leading = _cells(order, ("exchange_uuid", "created_at", "market", "side", "type", "price"))
    return (*leading, _asked(order), *_cells(order, ("executed_volume",)))


def _cells(row: Mapping[str, Any], names: Sequence[str]) -> Sequence[str]:
    return tuple("-" if row.get(name) is None else str(row[name]) for name in names)


def _asked(order: Mapping[str, Any]) -> str:
    """Return the coins, or the money of a market purchase with its currency."""
    if order.get("volume") is not None:
        return str(order["volume"])
    if order.get("funds") is None:
        return "-"
    return f"{order['funds']} {str(order.get('market')).partition('-')[0]}"


def _note(order: Mapping[str, Any]) -> str:
    return str(order.get("what_to_do") or order.get("reason") or "")


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "list": list_orders,
    "show": show,
    "place": place,
    "cancel": cancel,
    "not-placed": not_placed,
}
