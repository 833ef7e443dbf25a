"""Look at what repeats in the running service, and run one now."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from service.cli.options import AsJson, Url
from service.cli.output import Column, Table, print_json, print_table
from service.cli.resources import load_config

_STATES: Final = {"running": "bold green", "waiting": "green", "off": "yellow"}
_COLUMNS: Final = (
    Column(title="name"),
    Column(title="period"),
    Column(title="state", styles=_STATES),
    Column(title="last success"),
    Column(title="next run"),
    Column(title="failures"),
    Column(title="restarts"),
)


def list_jobs(*, url: Url = None, as_json: AsJson = False) -> None:
    """Print how each job of the running service is."""
    config = load_config()
    from service.app.remote import jobs

    items = jobs(config, url)
    if as_json:
        print_json({"items": items, "next_cursor": None})
    else:
        print_table(Table(columns=_COLUMNS, rows=[_row(item) for item in items]))


def run_job(name: str, *, url: Url = None, as_json: AsJson = False) -> None:
    """Have the running service make a pass of one job now."""
    config = load_config()
    from service.app.remote import run_job as asked

    job = asked(config, url, name)
    if as_json:
        print_json(job)
        return
    when = "comes after the pass that runs" if job["running"] else "starts now"
    print(f"{name}: accepted; {when}")


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    state = "running" if item.get("running") else "waiting" if item.get("enabled") else "off"
    failures = f"{item.get('consecutive_failures')} {item.get('last_error') or ''}".strip()
    return (
        str(item.get("name")),
        f"{item.get('period_s') or 0:g} s",
        state,
        str(item.get("last_success_at") or "-"),
        str(item.get("next_run_at") or "-"),
        failures,
        str(item.get("restarts")),
    )


COMMANDS: Final[Mapping[str, Callable[..., None]]] = {"list": list_jobs, "run": run_job}
