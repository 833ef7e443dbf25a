"""The database as one file, and back."""

from pathlib import Path
from typing import Annotated

import typer

from service.cli.options import AsJson
from service.cli.output import print_json
from service.cli.resources import load_config, logging_to


def backup(
    file: Annotated[Path, typer.Argument(help="to make, readable for its owner only")],
    *,
    force: Annotated[bool, typer.Option("--force", help="overwrite FILE")] = False,
    as_json: AsJson = False,
) -> None:
    """Write the whole database to a file; the service may run meanwhile."""
    config = load_config()
    from service.app.backup import backed_up

    with logging_to(config, aside=True):
        size = backed_up(config, file, overwrite=force)
    if as_json:
        print_json({"file": str(file), "bytes": size})
    else:
        print(f"{file}: {size} bytes")


def restore(
    file: Annotated[Path, typer.Argument(help="that `trader backup` made")],
    force: Annotated[
        str | None, typer.Option(help="REPLACE: also when the database has orders")
    ] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """Make the database anew from a backup; the service must not run."""
    config = load_config()
    from service.app.backup import restored

    with logging_to(config, aside=True):
        before = restored(config, file, force=force)
    if as_json:
        print_json({"file": str(file), "replaced": before})
        return
    print(f"{file} is restored")
    if before is not None:
        print(f"The database that was there is kept as {before}.")
    print(
        "At the next start the books are settled against the exchange before anything is traded.\n"
        "A halt or a setting that was changed after the backup is not in it: check both."
    )
