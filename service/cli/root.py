"""The list of commands, and what stands around all of them."""

import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Annotated, Final

import typer

from service import __version__
from service.cli import (
    alert,
    backup,
    diagnosis,
    history,
    jobs,
    order,
    processes,
    risk,
    settings,
    system,
)
from service.cli.options import AsJson
from service.cli.output import on_terminal, print_json
from service.domain.errors import ServiceError

# Rooms are imported inside the commands: `healthcheck` runs every few seconds and `version`
# needs nothing, so neither loads the exchange's and the model's libraries. asyncio and rich are
# imported there too. tests/unit/cli/test_start.py holds the list of what a health check loads.

_PROGRAM: Final = "trader"
_BROKEN_PIPE: Final = 141  #: 128 + SIGPIPE, as a shell reports it


def main() -> None:
    """Run the command; every expected failure is one sentence and exit code 2."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A locale that has no Hangul must not end the command.
            stream.reconfigure(errors="backslashreplace")
    app.rich_markup_mode = "rich" if on_terminal() else None
    with _sentences():
        code = app(prog_name=_PROGRAM, standalone_mode=False)
        sys.stdout.flush()
    sys.exit(code or 0)


def version(*, as_json: AsJson = False) -> None:
    """Print the version."""
    if as_json:
        print_json({"version": __version__})
    else:
        print(__version__)


def _version_option(value: bool) -> None:  # noqa: FBT001 - typer calls it so
    if value:
        print(__version__)
        raise typer.Exit


def _root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_version_option, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Trades on Upbit with signals from Gemini. Settings and modes: docs/."""


def _built() -> typer.Typer:
    root = typer.Typer(
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,  # it prints local variables, keys among them
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    root.callback()(_root)
    for command in (
        processes.run,
        diagnosis.check,
        processes.migrate,
        processes.sandbox,
        diagnosis.healthcheck,
        system.system,
        history.stats,
        history.export,
        history.verify,
        backup.backup,
        backup.restore,
        risk.halt,
        risk.resume,
        risk.flatten,
        version,
    ):
        root.command()(command)
    for group in (settings, order, alert, jobs):
        part = typer.Typer(help=group.__doc__, no_args_is_help=True)
        for name, command in group.COMMANDS.items():
            part.command(name)(command)
        root.add_typer(part, name=group.__name__.rpartition(".")[2])
    return root


@contextmanager
def _sentences() -> Iterator[None]:
    try:
        yield
    except ServiceError as exc:
        print(str(exc), file=sys.stderr)
        sys.exit(2)
    except typer.TyperException as exc:
        if words := _usage(exc):
            print(words, file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        # The reader of our output has gone, e.g. `trader settings list | head`.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(_BROKEN_PIPE)
    except Exception as exc:  # noqa: BLE001 - Python would print its text, and a row with amounts
        frames = "".join(traceback.format_tb(exc.__traceback__))
        print(f"{frames}a fault of the program ended it: {type(exc).__name__}", file=sys.stderr)
        sys.exit(1)


def _usage(exc: typer.TyperException) -> str:
    """Return what is wrong with the words of the command line, and where to read on."""
    words = exc.format_message()
    context = getattr(exc, "ctx", None)
    # A group without a command raises its own help: several lines, or none once rich printed it.
    if context is None or not words or "\n" in words:
        return words
    return f"{words.removesuffix('.')}; {context.command_path} --help shows how"


app: Final = _built()
