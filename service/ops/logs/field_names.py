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
_MONEY: Final = ("balance", "avgbuyprice", "avgprice", "averageprice")
#: Whole parts only: `locked` is money, `blocked` is not.
_MONEY_PARTS: Final = frozenset(
    {"available", "locked", "equity", "capital", "cash", "pnl", "funds", "coins", "worth"}
    | {"holding", "holdings", "amount", "amounts", "deposit", "deposits"}
)
#: The same as an operator's own code or an exchange's notice would call it: balance, deposit,
#: holdings, valuation, assets, sum, profit and loss.
_MONEY_IN_KOREAN: Final = ("잔고", "잔액", "예수금", "보유", "평가", "자산", "금액", "손익")
#: Whose volume it is: `volume_24h` and `candle_volume` are the market's, the others ours.
_OF_THE_MARKET: Final = frozenset({"market", "candle", "acc", "h", "d"})
#: What makes a total one of money: `rows_total` is none.
_OF_THE_ACCOUNT: Final = frozenset({"krw", "btc", "usdt", "value", "asset", "assets", "account"})
_PROMPT_PARTS: Final = frozenset({"prompt", "prompts", "facts"})


class FieldKind(Enum):
    """Why a value is not shown."""

    SECRET = auto()
    TOKENS = auto()  #: `input_tokens` is a number to show; text under such a name is a secret
    MONEY = auto()
    PROMPT = auto()  #: it tells the position


@lru_cache(maxsize=2048)
def kind_of(name: str) -> FieldKind | None:
    """Return what a value under `name` is, None when it may be shown."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    joined = "".join(parts)
    if any(word in joined for word in _SECRETS) or not _SECRET_PARTS.isdisjoint(parts):
        return FieldKind.SECRET
    if any(part.endswith("token") for part in parts):
        return FieldKind.SECRET
    if any(part.endswith("tokens") for part in parts):
        return FieldKind.TOKENS
    if _is_money(name, parts, joined):
        return FieldKind.MONEY
    return None if _PROMPT_PARTS.isdisjoint(parts) else FieldKind.PROMPT


def _is_money(name: str, parts: list[str], joined: str) -> bool:
    if any(word in joined for word in _MONEY) or not _MONEY_PARTS.isdisjoint(parts):
        return True
    if any(word in name for word in _MONEY_IN_KOREAN):
        return True
    if "volume" in parts:
        return _OF_THE_MARKET.isdisjoint(parts)
    if "total" in parts:
        return parts == ["total"] or not _OF_THE_ACCOUNT.isdisjoint(parts)
    if "cost" in parts:  # what the model costs is to be seen
        return "usd" not in parts
    return ("fee" in parts or "fees" in parts) and "ratio" not in parts
