"""A copy of the database in one file: whole, or not there at all."""

import os
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from service.domain.errors import InvalidRequest
from service.store.archive.programs import access, run
from service.store.archive.seal import seal
from service.store.database.dsn import connect, named, parameters
from service.store.migrations.migrate import HAS_TABLE

#: Made by an early migration (0005); a database without it holds nothing of ours.
_OURS: Final = "trading_state"


def dump(dsn: str, file: Path, *, overwrite: bool) -> int:
    """Write a consistent copy of the database to `file`, mode 0600; return its bytes. Blocks.

    Raises: InvalidRequest, StartError; `file` is as it was before.
    """
    if file.exists() and not overwrite:
        raise _there_already(file)
    _require_ours(dsn)
    try:
        number, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    except OSError as exc:
        raise InvalidRequest(f"{file} cannot be written ({exc.strerror})") from exc
    part = Path(name)
    try:
        with access(dsn) as variables, os.fdopen(number, "w+b") as stream:
            run("pg_dump", "--format=custom", variables=variables, out=stream)
            seal(stream)
            os.fsync(stream.fileno())
        size = part.stat().st_size
        _publish(part, file, overwrite=overwrite)
    except FileExistsError:
        raise _there_already(file) from None
    except OSError as exc:
        raise InvalidRequest(f"{file} cannot be written ({exc.strerror})") from exc
    finally:
        with suppress(OSError):
            part.unlink()
    return size


def _require_ours(dsn: str) -> None:
    given = parameters(dsn)
    with closing(connect(given)) as connection, connection.cursor() as cursor:
        cursor.execute(HAS_TABLE, {"name": _OURS})
        row = cursor.fetchone()
    if not (row and row[0]):
        raise InvalidRequest(f"{named(given)} holds nothing of this program: check the address")


def _publish(part: Path, file: Path, *, overwrite: bool) -> None:
    if overwrite:
        part.replace(file)
    else:
        os.link(part, file)  # fails when the name was taken meanwhile; a rename would overwrite
    folder = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _there_already(file: Path) -> InvalidRequest:
    return InvalidRequest(f"{file} is there already: name another file, or add --force")
