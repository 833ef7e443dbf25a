"""Halt, resume and flatten the running service."""

from typing import Annotated, Any

import typer

from service.cli.options import AsJson, Url
from service.cli.output import print_json, printable
from service.cli.resources import load_config

Reason = Annotated[str, typer.Argument(help="why, in a few words")]
Protection = Annotated[
    bool,
    typer.Option(
        "--protection/--no-protection",
        help="let sales go on (REDUCING), or stop everything but cancels (HALTED)",
    ),
]
OneMarket = Annotated[str | None, typer.Option("--market", help="KRW-BTC; all without it")]
Markets = Annotated[list[str] | None, typer.Option("--market", help="once for each; all without")]
Reasons = Annotated[
    list[str] | None, typer.Option("--reason", help="end this one, whatever ends it else")
]
Confirm = Annotated[str, typer.Option(help="the word FLATTEN")]


def halt(
    reason: Reason,
    *,
    protection: Protection = True,
    market: OneMarket = None,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Halt purchases of the running service, or all its trading, at once."""
    config = load_config()
    from service.app.remote import change_risk

    asked = {"reason": reason, "protection": protection, "market": market}
    _show(change_risk(config, url, "halt", asked), as_json=as_json)


def resume(*, reason: Reasons = None, url: Url = None, as_json: AsJson = False) -> None:
    """End the halts that only an operator ends."""
    config = load_config()
    from service.app.remote import change_risk

    _show(change_risk(config, url, "resume", {"reasons": reason or None}), as_json=as_json)


def flatten(
    *, confirm: Confirm, market: Markets = None, url: Url = None, as_json: AsJson = False
) -> None:
    """Cancel the open orders of the running service, sell what it holds, and stay halted."""
    config = load_config()
    from service.app.remote import change_risk

    asked = {"markets": market or None, "confirm": confirm}
    _show(change_risk(config, url, "flatten", asked), as_json=as_json)


def _show(state: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(state)
        return
    print(_line("trading", state))
    for one in state["halts"]:
        print(_line(one["market"] or "all markets", one))
    for one in state["flatten"]["markets"]:
        print(f"{one['market']}: {one['status']}{_aside(one['detail'])}")
    if not state["stored"]:
        print("the database does not have every halt yet; the service writes it when it answers")


def _line(name: str, one: dict[str, Any]) -> str:
    return f"{name}: {one['state']}{_aside(one['reason'])}"


def _aside(text: str | None) -> str:
    return f" ({printable(text)})" if text else ""
