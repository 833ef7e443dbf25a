"""The roles of callers, least first."""

from enum import StrEnum
from typing import Final

from aiohttp import hdrs

READING: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})


class Role(StrEnum):
    ANONYMOUS = "anonymous"
    VIEWER = "viewer"
    ADMIN = "admin"
