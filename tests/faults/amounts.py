"""Searches outputs for the account's amounts and the prompt, which must not be there."""

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from service.flows.prompt import SYSTEM
from tests.faults.stack import Stack

#: Statements that read every balance, purchase and sale.
_AMOUNTS: Final = """
    SELECT volume, funds, fee, NULL::numeric AS cost FROM fills
     UNION ALL
    SELECT volume, realised_pnl, fees_paid, cost FROM positions
     UNION ALL
    SELECT volume, funds, executed_volume, executed_funds FROM orders
     UNION ALL
    SELECT cash, coins, equity, realised_pnl FROM equity_snapshots
"""
_OF_AN_ACCOUNT: Final = ("balance", "locked", "avg_buy_price")
#: Digits that tell an amount from other numbers: significant ones, or of whole units (what the
#: sandbox's account begins with is ten million), or behind the point, as only coins have them.
_TELLING: Final = 7
_TELLING_WHOLE: Final = 8
_TELLING_FRACTION: Final = 6
#: Measured, and so many that one of them would be an amount's by chance.
_MEASURES: Final = re.compile(
    r'"(?:duration_ms|cost_usd)": ?"?[\d.eE+-]+"?|trader_ai_cost_usd_total\{[^}]*\} \S+'
)
#: A number with or without grouped thousands; not the hexadecimal digits of an identifier, nor a
#: part of one between hyphens.
_NUMBER: Final = re.compile(
    r"(?<![\da-fA-F])(?<![\da-fA-F]-)(?<!\d\.)"
    r"(?:\d{1,3}(?:[,_]\d{3})+(?:\.\d+)?|\d*\.?\d+(?:[eE][-+]\d{1,3})?)"
    r"(?![\da-fA-F])(?!-[\da-fA-F])"
)
_ROUNDED_TO: Final = tuple(Decimal(1).scaleb(-places) for places in range(4))
#: Of the prompt: its first and last words, and the names in front of its facts.
PROMPT: Final = (SYSTEM[:40], SYSTEM[-40:], "position_average_price", "prices_1h", "change_14d_pct")


async def amounts_of(stack: Stack) -> set[Decimal]:
    """Return every amount in the account's history that is distinguishable from other numbers."""
    ledger = await stack.sandbox.ask("GET", "/__sandbox__/ledger")
    found = {
        Decimal(account[name]) for account in ledger["accounts"] for name in _OF_AN_ACCOUNT
    } | {Decimal(value) for row in await stack.sql(_AMOUNTS) for value in row.values() if value}
    found |= {Decimal(amount) for amount in ledger["opening"].values()}
    return {abs(amount) for amount in found if _is_telling(amount)}


def search(outputs: Mapping[str, bytes], amounts: Iterable[Decimal]) -> set[str]:
    """Return the amounts and prompt words found in each output, in any notation."""
    known = {form for amount in amounts for form in _forms(amount)}
    hits = set()
    for where, raw in outputs.items():
        text = raw.decode("utf-8", "replace")
        numbers = set(_NUMBER.findall(_MEASURES.sub("", text)))
        hits |= {f"{where}: {number}" for number in numbers if _value(number) in known}
        hits |= {f"{where}: {words}" for words in PROMPT if words in text}
    return hits


def _value(number: str) -> Decimal:
    return Decimal(number.replace(",", "").replace("_", ""))


def _forms(amount: Decimal) -> Iterator[Decimal]:
    """Yield `amount`, also rounded and cut off, while it is distinguishable from other numbers."""
    forms = {amount, Decimal(int(amount)), *(amount.quantize(step) for step in _ROUNDED_TO)}
    forms.add(Decimal(repr(float(amount))))  # a float has seventeen digits, an amount may have more
    yield from (form for form in forms if _is_telling(form))


def _is_telling(amount: Decimal) -> bool:
    whole, _, fraction = f"{abs(amount):f}".partition(".")
    fraction = fraction.rstrip("0")
    return (
        len((whole + fraction).strip("0")) >= _TELLING
        or len(whole) >= _TELLING_WHOLE
        or len(fraction) >= _TELLING_FRACTION
    )


def bodies_that_are_shipped(bodies: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the answers to scrapers and health checks."""
    return {
        f"answer {path}": body
        for path, body in bodies.items()
        if path.startswith("/health") or path == "/metrics"
    }


def planted(amounts: Iterable[Decimal]) -> dict[str, Any]:
    """Return one output for each way in which a careless line would show an amount."""
    amount = max(amounts)
    whole = f"{amount:f}".partition(".")[0]
    return {
        "a field": f'{{"funds": "{amount}"}}'.encode(),
        "a sentence": f"KRW {amount:f} are left".encode(),
        "a float": repr({"note": float(amount)}).encode(),
        "grouped": f"you have {int(whole):,} KRW".encode(),
        "whole units": f"have={whole}".encode(),
        "the prompt": PROMPT[0].encode(),
    }
