"""Commands that say how things are: `check` before the start, `healthcheck` while it runs."""

import json
from contextlib import closing
from typing import IO, Annotated, Final, NamedTuple

import typer

from service.cli.options import AsJson
from service.cli.output import Column, Table, print_json, print_table
from service.cli.resources import load_config, logging_to
from service.domain.errors import StartError

_LEVELS: Final = {"ok": "green", "warn": "yellow", "FAIL": "bold red"}
_UNHEALTHY: Final = "unhealthy"


def check(*, as_json: AsJson = False) -> None:
    """Check configuration, machine, database, exchange and model; secrets stay hidden."""
    import asyncio

    config = load_config()
    from service.app.check import document, findings

    with logging_to(config, aside=True):
        found = asyncio.run(findings(config))
    told = document(found)
    if as_json:
        print_json(told)
    else:
        columns = (Column(title="", styles=_LEVELS), Column(title="item"), Column(title="found"))
        rows = [(f.level, f.item, f.words) for f in found]
        print_table(Table(columns=columns, rows=rows), plain=[f.line for f in found])
    if not told["ok"]:
        raise typer.Exit(2)


def healthcheck(
    *,
    url: Annotated[str | None, typer.Option(help="of the service")] = None,
    timeout: Annotated[float, typer.Option(help="seconds")] = 4.0,
    as_json: AsJson = False,
) -> None:
    """Ask the running service how it is: exit code 0, or 1 on no answer or 503."""
    address = f"{(url or _local_address()).rstrip('/')}/health/detailed"
    if not address.startswith(("http://", "https://")) or "@" in address:
        raise StartError("--url: write a whole address, like http://127.0.0.1:8080")
    answer = _asked(address, timeout)
    if answer.error is None:
        print_json(answer.body) if as_json else print(answer.status)
        return
    sentence = f"{address}: {answer.error}"
    if not as_json:
        print(f"{_UNHEALTHY}: {sentence}")
    elif answer.status is None:
        print_json({"status": _UNHEALTHY, "error": sentence})
    else:
        print_json(answer.body)  # 503: it says what is wrong
    raise typer.Exit(1)


class _Answer(NamedTuple):
    status: str | None = None  #: None: there was no answer of this service
    body: object = None  #: as /health/detailed has it
    error: Exception | None = None


def _asked(address: str, timeout_s: float) -> _Answer:
    import http.client
    import urllib.error
    import urllib.request

    # No proxy: the question is for this machine, whatever the environment says.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    no_answer = (OSError, http.client.HTTPException, ValueError, LookupError, TypeError)
    try:
        with opener.open(address, timeout=timeout_s) as answer:
            return _read(answer)
    except urllib.error.HTTPError as exc:
        # The error is the answer as well, with an open socket.
        with closing(exc):
            try:
                return _read(exc)._replace(error=exc)
            except no_answer:
                return _Answer(error=exc)
    except no_answer as exc:
        return _Answer(error=exc)


def _read(stream: IO[bytes]) -> _Answer:
    """Raises: ValueError, LookupError, TypeError, for what is no answer of ours."""
    body = json.load(stream)
    return _Answer(status=body["status"], body=body)


def _local_address() -> str:
    config = load_config()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"
