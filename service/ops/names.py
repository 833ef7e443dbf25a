"""What a field's name says about its value."""

import re
from enum import Enum, auto
from functools import lru_cache
from typing import Final

_PARTS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+")
#: Found anywhere in the name once its parts are put together: `apiKey`, `X-Goog-Api-Key`.
_SECRETS: Final = (
    "apikey", "accesskey", "privatekey", "secret", "password", "passwd", "passphrase",
    "authorization", "cookie", "credential", "databaseurl", "webhook", "alerturl", "jwt",
)  # fmt: skip
_SECRET_PARTS: Final = frozenset({"dsn", "auth", "pwd", "bearer", "sessionid", "csrf"})
_MONEY: Final = ("balance",)
#: Whole parts only: `locked` is money, `blocked` is not.
_MONEY_PARTS: Final = frozenset({"available", "locked", "equity", "capital", "cash", "pnl"})


class Kind(Enum):
    """Why a value is not shown."""

    SECRET = auto()
    TOKENS = auto()  #: `input_tokens` is a number to show; text under such a name is a secret
    MONEY = auto()


@lru_cache(maxsize=2048)
def kind_of(name: str) -> Kind | None:
    """Return what a value under `name` is, None when it may be shown."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    joined = "".join(parts)
    if any(word in joined for word in _SECRETS) or not _SECRET_PARTS.isdisjoint(parts):
        return Kind.SECRET
    if any(part.endswith("token") for part in parts):
        return Kind.SECRET
    if any(part.endswith("tokens") for part in parts):
        return Kind.TOKENS
    if any(word in joined for word in _MONEY) or not _MONEY_PARTS.isdisjoint(parts):
        return Kind.MONEY
    return None
