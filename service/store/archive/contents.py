"""What a backup says of itself, read without a database."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from service.domain.errors import InvalidRequest
from service.store.archive.programs import ProgramFailed, run
from service.store.archive.seal import is_sealed
from service.store.migrations.migrate import files_in
from service.store.migrations.yoyo_backend import migration_id

_NEEDED: Final = ("_yoyo_migration", "migration_files", "trading_state", "leader", "orders")
_ABSENT: Final = "\\N"


@dataclass(frozen=True, slots=True)
class Contents:
    mode: str | None  #: the mode whose orders it holds; None before the first start
    migrations: tuple[str, ...]


def contents(file: Path, folder: Path) -> Contents:
    """Read the whole file once; return what it holds.

    Raises: InvalidRequest. The file is missing, cut, damaged or foreign, or newer than `folder`.
    """
    if not file.is_file():
        raise InvalidRequest(f"{file} is no backup: there is no such file")
    try:
        sealed = is_sealed(file)
    except OSError as exc:
        raise InvalidRequest(f"{file} cannot be read ({exc.strerror})") from exc
    if not sealed:
        raise InvalidRequest(
            f"{file} is no backup of this program, or it was cut or damaged: nothing was changed"
        )
    try:
        listed = run("pg_restore", "--list", str(file), out=subprocess.PIPE).decode()
        run("pg_restore", "--file=/dev/null", str(file))
        if missing := [table for table in _NEEDED if f" {table} " not in listed]:
            raise InvalidRequest(
                f"{file} is no backup of a trader (it has no table {missing[0]}):"
                " nothing was changed"
            )
        found = Contents(
            mode=next(iter(_column(file, "trading_state", "mode")), None),
            migrations=tuple(
                sorted(filter(None, _column(file, "_yoyo_migration", "migration_id")))
            ),
        )
    except ProgramFailed as exc:
        raise InvalidRequest(
            f"{file} is no backup, or is damaged ({exc}): nothing was changed"
        ) from exc
    present = {migration_id(name) for name in files_in(folder)}
    if newer := [name for name in found.migrations if name not in present]:
        raise InvalidRequest(
            f"{file} was made by another version: it has the migration {newer[-1]};"
            " install the version that made it. Nothing was changed"
        )
    if not found.migrations:
        raise InvalidRequest(f"{file} holds no migration of this program: nothing was changed")
    return found


def _column(file: Path, table: str, column: str) -> list[str | None]:
    """Return the values of one column, from the COPY block that pg_restore prints."""
    script = run(
        "pg_restore", "--data-only", f"--table={table}", "--file=-", str(file), out=subprocess.PIPE
    ).decode()
    _, _, block = script.partition("\nCOPY ")
    head, _, rest = block.partition(";\n")
    names = [name.strip(' "') for name in head.partition("(")[2].partition(")")[0].split(",")]
    if column not in names:
        raise InvalidRequest(f"{file} has no column {table}.{column}: nothing was changed")
    lines = rest.partition("\\.\n")[0].splitlines()
    values = [line.split("\t")[names.index(column)] for line in lines]
    return [None if value == _ABSENT else value for value in values]
