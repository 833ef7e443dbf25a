"""Commands that tell what has been: `stats` from logs, `export` and `verify` from the database."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from service.cli.options import AsJson
from service.cli.output import Column, Table, print_json, print_table
from service.cli.resources import load_config, logging_to

E = TypeVar("E", bound=StrEnum)


def _kinds() -> list[str]:
    from service.store.queries.export import ExportKind

    return [kind.value for kind in ExportKind]


def stats(
    log: Annotated[str, typer.Option(help="file with JSON log lines, - for standard input")],
    hours: Annotated[int | None, typer.Option(min=1, help="back from the newest line")] = None,
    since: Annotated[str | None, typer.Option(help="like 2026-01-24T09:00:00Z")] = None,
    until: Annotated[str | None, typer.Option(help="exclusive")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Print how jobs, requests and model calls went, from logs alone."""
    from service.ops.log_report.report import LogWindow, instant, report
    from service.ops.log_report.tables import tables

    window = LogWindow(
        since=None if since is None else instant(since, option="--since"),
        until=None if until is None else instant(until, option="--until"),
        hours=hours,
    )
    told = report(log, window)
    if as_json:
        print_json(told.document)
        return
    print(told.sentence, end="\n\n")
    for found in tables(told.stats):
        columns = [Column(title=c.title, is_number=c.is_number) for c in found.columns]
        print_table(Table(title=found.title, columns=columns, rows=found.rows))
        print()


def export(
    kind: Annotated[str, typer.Argument(help="orders, fills or signals", autocompletion=_kinds)],
    since: Annotated[
        str | None, typer.Option("--from", help="first Korean day, 2026-01-01")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="last Korean day, included")] = None,
    form: Annotated[str | None, typer.Option("--format", help="csv (default) or json")] = None,
    out: Annotated[
        Path | None, typer.Option(help="file to make; standard output by default")
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="the same as --format json")] = False,
) -> None:
    """Write the history to a file: what a tax report needs, and everything else."""
    import asyncio

    config = load_config()
    from service.app.export import exported, window
    from service.store.queries.export import ExportKind, Form

    if as_json and form not in {None, Form.JSON}:
        raise typer.BadParameter(f"--json and --format {form} cannot both be meant")
    what, how = _one_of(kind, ExportKind), Form.JSON if as_json else _one_of(form or Form.CSV, Form)
    with logging_to(config, aside=True):
        rows = asyncio.run(exported(config, what, how, window(since, until), out))
    print(f"{rows} {what} written", file=sys.stderr)


def verify(*, as_json: AsJson = False) -> None:
    """Derive positions, days and equity from the fills again; exit code 1 on a difference."""
    import asyncio
    from dataclasses import asdict

    config = load_config()
    from service.app.verification import verified

    with logging_to(config, aside=True):
        found = asyncio.run(verified(config))
    if as_json:
        print_json({"ok": not found, "differences": [asdict(one) for one in found]})
    elif not found:
        print("every stored value adds up to the fills")
    else:
        titles = ("table", "row", "column", "stored", "derived from fills")
        rows = [
            (one.table, one.row, one.column, one.stored or "-", one.derived or "-") for one in found
        ]
        print_table(Table(columns=[Column(title=title) for title in titles], rows=rows))
    if found:
        raise typer.Exit(1)


def _one_of(text: str, kinds: "type[E]") -> "E":
    try:
        return kinds(text)
    except ValueError:
        words = ", ".join(str(kind) for kind in kinds)
        raise typer.BadParameter(f"{text!r} is none of {words}") from None
