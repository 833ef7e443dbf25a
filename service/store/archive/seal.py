"""The last line of a backup: it shows that the file is ours, whole and undamaged.

pg_restore itself takes some files that were cut, and most that have a wrong bit. It does not read
as far as this line, so a sealed file is an ordinary archive to it.
"""

import hashlib
import os
from pathlib import Path
from typing import IO, Final

_WORDS: Final = b"\nupbit-ai-trader backup sha256 "
_HEX: Final = 64
_LENGTH: Final = len(_WORDS) + _HEX + 1
_CHUNK: Final = 1 << 20


def seal(file: IO[bytes]) -> None:
    """Append the line to an open file, which is readable too."""
    size = file.seek(0, os.SEEK_END)
    digest = _digest(file, size)
    file.seek(0, os.SEEK_END)
    file.write(_WORDS + digest + b"\n")
    file.flush()


def is_sealed(path: Path) -> bool:
    """Return whether the file has the line, and is what was sealed."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END) - _LENGTH
        if size < 0:
            return False
        file.seek(size)
        line = file.read()
        return line == _WORDS + _digest(file, size) + b"\n"


def _digest(file: IO[bytes], size: int) -> bytes:
    found = hashlib.sha256()
    file.seek(0)
    while size > 0 and (chunk := file.read(min(_CHUNK, size))):
        found.update(chunk)
        size -= len(chunk)
    return found.hexdigest().encode()
