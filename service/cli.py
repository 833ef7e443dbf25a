"""The command line: as thin as a handler. docs/cli.md has a heading for each command."""

import asyncio
import getpass
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from service import __version__
from service.domain.errors import ServiceError

if TYPE_CHECKING:
    from service.config import Config
    from service.ops.logs.setup import Log
    from service.settings.settings import Settings

# Rooms are imported inside the commands: `healthcheck` runs every few seconds and `version`
# needs nothing, so neither waits for the exchange's and the model's libraries.

app = typer.Typer(
    help="Trades on Upbit with signals from Gemini. Settings and modes: docs/.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # it prints local variables, keys among them
)
settings_app = typer.Typer(help="Read and change what may change at run time.")
app.add_typer(settings_app, name="settings", no_args_is_help=True)
alert_app = typer.Typer(help="Tell people what they have to know.")
app.add_typer(alert_app, name="alert", no_args_is_help=True)
jobs_app = typer.Typer(help="Look at what repeats in the running service, and run one now.")
app.add_typer(jobs_app, name="jobs", no_args_is_help=True)

E = TypeVar("E", bound=StrEnum)
_NOT_IN_EFFECT: Final = "nothing acts on this setting in this version"

Mode = Annotated[str | None, typer.Option(help="sandbox, paper or live [TRADER_MODE]")]
Url = Annotated[str | None, typer.Option(help="of the service [TRADER_HOST, TRADER_PORT]")]
Port = Annotated[int | None, typer.Option(help="HTTP port, 0 for any free one [TRADER_PORT]")]
DataDir = Annotated[Path | None, typer.Option(help="where data is kept [TRADER_DATA_DIR]")]
Candles = Annotated[Path | None, typer.Option(help="candle file to replay [TRADER_CANDLES]")]
Speed = Annotated[
    str | None, typer.Option(help="market seconds a second, 0 = full speed [TRADER_SPEED]")
]
Seed = Annotated[int | None, typer.Option(help="of the generated market [TRADER_SEED]")]


def main() -> None:
    """Run the command; every expected failure is one sentence and exit code 2."""
    with _sentences():
        app()


@app.command()
def run(
    mode: Mode = None,
    port: Port = None,
    data_dir: DataDir = None,
    candles: Candles = None,
    speed: Speed = None,
    seed: Seed = None,
) -> None:
    """Start the service and keep it running until SIGTERM or Ctrl-C."""
    config = _load(mode=mode, port=port, data_dir=data_dir, candles=candles, speed=speed, seed=seed)
    from service.app.serve import serve

    with _logging(config) as log:
        asyncio.run(
            serve(
                config,
                ready=lambda address: _banner(config.mode, address),
                log=log,
            )
        )


@app.command()
def check(
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Check configuration, machine, database, exchange and model; secrets stay hidden."""
    config = _load()
    from service.app.check import findings, printed

    with _logging(config, aside=True):
        found = asyncio.run(findings(config))
    for line in printed(found, as_json=as_json):
        print(line)
    if any(finding.level == "FAIL" for finding in found):
        raise typer.Exit(2)


@app.command()
def migrate() -> None:
    """Bring the database to this version's tables."""
    config = _load()
    from service.app.resources import open_server
    from service.store.migrations.migrate import migrate as apply
    from service.store.migrations.migrate import migrations_folder

    async def migrated() -> int:
        async with open_server(config) as dsn:
            return await asyncio.to_thread(apply, dsn, migrations_folder())

    with _logging(config, aside=True):
        count = asyncio.run(migrated())
    print(f"{count} migration(s) applied")


@app.command()
def sandbox(
    port: Annotated[int, typer.Option(help="of the exchange, 0 for any free one")] = 0,
    data_dir: DataDir = None,
    candles: Candles = None,
    speed: Speed = None,
    seed: Seed = None,
) -> None:
    """Run the local exchange and model alone, for any Upbit client; prints one JSON line."""
    config = _load(data_dir=data_dir, candles=candles, speed=speed, seed=seed)
    from service.app.resources import sandbox_options
    from service.app.serve import stop_on_signals
    from service.sandbox.server import open_sandbox, ready_line

    async def serve() -> None:
        stopping = stop_on_signals()
        async with open_sandbox(sandbox_options(config, port=port)) as exchange:
            print(ready_line(exchange), flush=True)
            await stopping.wait()

    with _logging(config, aside=True):
        asyncio.run(serve())


@app.command()
def healthcheck(
    url: Annotated[str | None, typer.Option(help="of the service")] = None,
    timeout: Annotated[float, typer.Option(help="seconds")] = 4.0,
) -> None:
    """Ask the running service how it is: exit code 0, or 1 on no answer or 503."""
    import http.client
    import urllib.error
    import urllib.request

    address = f"{(url or _local_address()).rstrip('/')}/health/detailed"
    if not address.startswith(("http://", "https://")):
        raise typer.BadParameter("write a whole address, like http://127.0.0.1:8080")
    try:
        # No proxy: the question is for this machine, whatever the environment says.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(address, timeout=timeout) as answer:
            print(json.load(answer)["status"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError) as exc:
        if isinstance(exc, urllib.error.HTTPError):
            exc.close()  # it is the answer as well, with an open socket
        print(f"unhealthy: {address}: {exc}")
        raise typer.Exit(1) from None


@app.command()
def stats(
    log: Annotated[str, typer.Option(help="file with JSON log lines, - for standard input")],
    hours: Annotated[int | None, typer.Option(min=1, help="back from the newest line")] = None,
    since: Annotated[str | None, typer.Option(help="like 2026-01-24T09:00:00Z")] = None,
    until: Annotated[str | None, typer.Option(help="exclusive")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON document instead")] = False,  # noqa: FBT002 - a flag of the command line
) -> None:
    """Print how jobs, requests and model calls went, from logs alone."""
    from service.ops.log_report.report import LogWindow, instant, report

    window = LogWindow(
        since=None if since is None else instant(since, option="--since"),
        until=None if until is None else instant(until, option="--until"),
        hours=hours,
    )
    for line in report(log, window, as_json=as_json):
        print(line)


@app.command()
def export(
    kind: Annotated[str, typer.Argument(help="orders, fills or signals")],
    since: Annotated[
        str | None, typer.Option("--from", help="first Korean day, 2026-01-01")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="last Korean day, included")] = None,
    form: Annotated[str, typer.Option("--format", help="csv or json")] = "csv",
    out: Annotated[
        Path | None, typer.Option(help="file to make; standard output by default")
    ] = None,
) -> None:
    """Write the history to a file: what a tax report needs, and everything else."""
    config = _load()
    from service.app.export import exported, window
    from service.store.queries.export import ExportKind, Form

    what, how = _one_of(kind, ExportKind), _one_of(form, Form)
    with _logging(config, aside=True):
        rows = asyncio.run(exported(config, what, how, window(since, until), out))
    print(f"{rows} {what} written", file=sys.stderr)


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


@settings_app.command("list")
def list_settings() -> None:
    """Print every setting with its value, unit and bounds."""

    async def show() -> None:
        async with _settings() as settings:
            for view in await settings.all():
                mark = " " if view.is_default else "*"
                value = json.dumps(view.value, ensure_ascii=False)
                note = "" if view.in_effect else f"  ({_NOT_IN_EFFECT})"
                print(f"{mark} {view.key} = {value}  [{view.unit}; {view.bounds}]{note}")

    asyncio.run(show())


@settings_app.command("get")
def get_setting(key: str) -> None:
    """Print one setting's value as JSON."""

    async def show() -> None:
        async with _settings() as settings:
            view = await settings.view(key)
            print(json.dumps(view.value, ensure_ascii=False))
            if not view.in_effect:
                print(f"{key}: {_NOT_IN_EFFECT}", file=sys.stderr)

    asyncio.run(show())


@settings_app.command("set")
def set_setting(key: str, value: str) -> None:
    """Change one setting; running services take it over at once."""

    async def change() -> None:
        async with _settings() as settings:
            by = f"cli:{_account()}"
            changes = await settings.change({key: _json_or_text(value)}, by=by)
            note = "" if (await settings.view(key)).in_effect else f"  ({_NOT_IN_EFFECT})"
            for change in changes:
                old, new = (json.dumps(v, ensure_ascii=False) for v in (change.old, change.new))
                pinned = "  (the default; it is stored now)" if old == new else ""
                print(f"{change.key}: {old} -> {new}{pinned}{note}")
            if not changes:
                print(f"{key}: unchanged{note}")

    asyncio.run(change())


@alert_app.command("test")
def alert_test() -> None:
    """Send one test message to every address of TRADER_ALERT_URLS."""
    config = _load()
    from service.app.alerting import tried

    with _logging(config, aside=True):
        results = asyncio.run(tried(config))
    for name, error in results:
        print(f"{'ok    ' if error is None else 'FAILED'} {name}{f' ({error})' if error else ''}")
    if any(error for _, error in results):
        raise typer.Exit(1)


@jobs_app.command("list")
def list_jobs(url: Url = None) -> None:
    """Print how each job of the running service is."""
    config = _load()
    from service.app.remote import job_lines, jobs

    for line in job_lines(jobs(config, url)):
        print(line)


@jobs_app.command("run")
def run_job_now(name: str, url: Url = None) -> None:
    """Have the running service make a pass of one job now."""
    config = _load()
    from service.app.remote import run_job

    job = run_job(config, url, name)
    when = "comes after the pass that runs" if job["running"] else "starts now"
    print(f"{name}: accepted; {when}")


# --- around the commands ----------------------------------------------------------------------


def _load(**overrides: object) -> "Config":
    from service.config import load

    return load(**overrides)


def _one_of(text: str, kinds: "type[E]") -> "E":
    try:
        return kinds(text)
    except ValueError:
        words = ", ".join(str(kind) for kind in kinds)
        raise typer.BadParameter(f"{text!r} is none of {words}") from None


def _json_or_text(value: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return json.loads(value)
    except ValueError:
        return value


def _account() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # which of them depends on Python's version
        return str(os.getuid())  # a container may run as a number without a name


def _local_address() -> str:
    config = _load()
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    return f"http://[{host}]:{config.port}" if ":" in host else f"http://{host}:{config.port}"


@asynccontextmanager
async def _settings() -> AsyncIterator["Settings"]:
    config = _load()
    from service.adapters.clock import SystemClock
    from service.app.resources import open_server
    from service.flows.alerts.rules import setting_notices
    from service.settings.settings import Settings
    from service.store.database.pool import open_pool
    from service.store.migrations.migrate import migrate as apply
    from service.store.migrations.migrate import migrations_folder
    from service.store.tables.settings import PgSettingRows

    with _logging(config, aside=True):
        async with open_server(config) as dsn:
            await asyncio.to_thread(apply, dsn, migrations_folder())
            async with open_pool(dsn, minsize=1, maxsize=1) as gate:
                yield Settings(PgSettingRows(gate, notices=setting_notices), SystemClock())


@contextmanager
def _logging(config: "Config", *, aside: bool = False) -> Iterator["Log"]:
    """Log masked JSON lines; `aside` of what the command prints, and only what is worth a look.

    Without this, loguru's own sink prints to stderr, unmasked and with local variables.
    """
    from service.ops.logs.setup import configure

    log = configure(
        level="WARNING" if aside and config.log_level == "INFO" else config.log_level,
        mode=config.mode,
        version=__version__,
        secrets=config.secrets(),
        stream=sys.stderr.buffer if aside else None,
    )
    try:
        yield log
    finally:
        log.close()


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except ServiceError as exc:
        print(str(exc), file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone, e.g. `trader settings list | head`.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _banner(mode: str, address: str) -> None:
    # On stderr: stdout carries JSON lines only.
    print(
        f"upbit-ai-trader {__version__} · {mode} · {address}\n"
        f"  page    {address}/\n"
        f"  health  {address}/health/detailed\n"
        f"  orders  {address}/api/v1/trading/orders\n"
        "  Ctrl-C stops it; nothing is lost.",
        file=sys.stderr,
        flush=True,
    )
