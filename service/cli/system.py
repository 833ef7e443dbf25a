"""Look at the machine that the running service is on."""

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from service.cli.options import AsJson, Url
from service.cli.output import Column, Table, print_json, print_table
from service.cli.resources import load_config

if TYPE_CHECKING:
    from service.ports.machine import SystemBody

_COLUMNS: Final = (Column(title="item"), Column(title="found"))
_GIB: Final = 2**30


def system(*, url: Url = None, as_json: AsJson = False) -> None:
    """Print the machine of the running service, and what the service uses of it."""
    config = load_config()
    from service.app.remote import system as asked

    body = asked(config, url)
    if as_json:
        print_json(body)
    else:
        print_table(Table(columns=_COLUMNS, rows=list(_rows(body))))


def _rows(body: "SystemBody") -> Iterator[tuple[str, str]]:
    cpu, memory, disk = body["cpu"], body["memory"], body["disk"]
    files, pool = body["files"], body["pool"]
    loads = " ".join(str(cpu[key]) for key in ("load_1m", "load_5m", "load_15m"))
    yield "service", f"{body['version']}, {body['mode']}, Python {body['python']}"
    yield "time", f"{body['time']}, up {timedelta(seconds=body['uptime_seconds'])}"
    yield "cpu", f"{cpu['used_pct']} % of {cpu['count']}, load {loads}"
    yield "cpu of the service", f"{cpu['process_pct']} % of one"
    yield "memory", f"{memory['used_pct']} % of {_gib(memory['total_bytes'])}"
    yield "memory of the service", _gib(memory["process_bytes"])
    used = f"{disk['used_pct']} % of {_gib(disk['total_bytes'])}"
    yield "disk of the data", f"{disk['status']}, {used}, {_gib(disk['free_bytes'])} free"
    yield "open files", f"{files['open']} of {files['limit']}"
    yield "event loop lag", f"{body['event_loop_lag_s']} s"
    yield (
        "database connections",
        f"{pool['size']} of {pool['max']}, {pool['free']} free, {pool['waiting']} waiting",
    )
    yield "age of the numbers", f"{body['age_seconds']} s"


def _gib(count: int) -> str:
    return f"{count / _GIB:.2f} GiB"
