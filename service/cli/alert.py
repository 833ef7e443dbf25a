"""Tell people what they have to know."""

from collections.abc import Callable, Mapping
from typing import Annotated, Final

import typer

from service.cli.options import AsJson, Url
from service.cli.output import Column, Table, print_json, print_table
from service.cli.resources import load_config, logging_to

_STYLES: Final = {"ok": "green", "FAILED": "bold red"}


def send_test(*, as_json: AsJson = False) -> None:
    """Send one test message to every address of TRADER_ALERT_URLS."""
    import asyncio

    config = load_config()
    from service.app.alerting import tried

    with logging_to(config, aside=True):
        results = asyncio.run(tried(config))
    if as_json:
        items = [{"target": name, "ok": not error, "error": error} for name, error in results]
        print_json({"items": items})
    else:
        rows = [("FAILED" if error else "ok", name, error or "") for name, error in results]
        columns = (Column(title="", styles=_STYLES), Column(title="address"), Column(title="error"))
        print_table(
            Table(columns=columns, rows=rows),
            plain=[f"{w:<6} {name}{f' ({error})' if error else ''}" for w, name, error in rows],
        )
    if any(error for _, error in results):
        raise typer.Exit(1)


def acknowledge(
    alert_id: Annotated[int, typer.Argument(metavar="ID", min=1)],
    *,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Have the running service not tell an alert again; GET /api/v1/alerts lists the ids."""
    config = load_config()
    from service.app.remote import acknowledge as asked

    alert = asked(config, url, alert_id)
    if as_json:
        print_json(alert)
        return
    print(f"{alert_id}: acknowledged by {alert['acknowledged_by']}; its end is still told")


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {
    "test": send_test,
    "acknowledge": acknowledge,
}
