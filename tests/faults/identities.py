"""Identities that hold after any fault: our tables against the exchange's.

Exact decimals only. Each breach is one sentence.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from service.domain.orders import IDENTIFIER_PREFIX

ZERO = Decimal(0)
Row = Mapping[str, Any]
#: Attempts that the exchange accepted; FAILED ones it never saw.
ACCEPTED = frozenset({"SUBMITTED", "PARTIALLY_FILLED", "EXECUTED", "CANCELLED"})


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTables:
    """Our tables, read in one transaction."""

    orders: Sequence[Row]
    fills: Sequence[Row]
    positions: Sequence[Row]
    signals: int
    decisions: Mapping[str, int]  #: by verdict
    allowed_unanswered: Sequence[int]  #: allowed decisions with neither order nor lapse


READ = {
    "orders": """
        SELECT id, identifier, exchange_uuid, decision_id, status, executed_volume,
               executed_funds, paid_fee, created_at
          FROM orders
         ORDER BY id
    """,
    "fills": "SELECT trade_uuid, order_id, market, side, volume, funds, fee FROM fills ORDER BY id",
    "positions": "SELECT market, volume FROM positions",
    "signals": "SELECT count(*) AS n FROM trading_signals",
    "decisions": "SELECT verdict, count(*) AS n FROM decisions GROUP BY verdict",
    "unanswered": """
        SELECT id
          FROM decisions AS d
         WHERE d.verdict = 'ALLOWED'
           AND NOT EXISTS (SELECT FROM orders WHERE decision_id = d.id)
           AND NOT EXISTS (SELECT FROM risk_events WHERE decision_id = d.id)
         ORDER BY id
    """,
}


def stored_tables(tables: Mapping[str, Sequence[Row]]) -> StoredTables:
    """Return the results of the statements in `READ`."""
    return StoredTables(
        orders=tables["orders"],
        fills=tables["fills"],
        positions=tables["positions"],
        signals=tables["signals"][0]["n"],
        decisions={row["verdict"]: row["n"] for row in tables["decisions"]},
        allowed_unanswered=[row["id"] for row in tables["unanswered"]],
    )


def breaches(tables: StoredTables, ledger: Mapping[str, Any]) -> list[str]:
    """Return every identity that does not hold, with the figures."""
    return [
        *_one_to_one(tables, ledger),
        *_sums(tables, ledger),
        *_money(tables, ledger),
        *_signals(tables),
    ]


def _one_to_one(tables: StoredTables, ledger: Mapping[str, Any]) -> Iterator[str]:
    """I1, I2: accepted attempts and the exchange's orders are the same; no decision has two."""
    theirs = {order["identifier"]: order["uuid"] for order in ledger["orders"] if _is_ours(order)}
    ours = {
        order["identifier"]: order["exchange_uuid"]
        for order in tables.orders
        if order["status"] in ACCEPTED
    }
    if theirs != ours:
        odd = sorted(theirs.items() ^ ours.items())
        yield f"I1: the exchange's orders and ours differ: {odd}"
    unsettled = [order["identifier"] for order in tables.orders if order["status"] in UNSETTLED]
    if unsettled:
        yield f"I1: not settled yet: {unsettled}"
    # An order by hand, or one that was found at the exchange, comes from no decision.
    decided = [
        o["decision_id"]
        for o in tables.orders
        if o["status"] in ACCEPTED and o["decision_id"] is not None
    ]
    if len(decided) != len(set(decided)):
        yield "I2: a decision has two accepted orders"


def _is_ours(order: Row) -> bool:
    return str(order.get("identifier") or "").startswith(IDENTIFIER_PREFIX)


def _foreign_trades(ledger: Mapping[str, Any]) -> Sequence[Row]:
    """Return the trades of orders that other programs, or the owner by hand, have made."""
    foreign = {order["uuid"] for order in ledger["orders"] if not _is_ours(order)}
    return [trade for trade in ledger["trades"] if trade.get("order") in foreign]


UNSETTLED = frozenset({"PENDING", "UNKNOWN"})


def _sums(tables: StoredTables, ledger: Mapping[str, Any]) -> Iterator[str]:
    """I3: an order's fills add up to what the exchange says was executed and paid."""
    by_uuid = {order["uuid"]: order for order in ledger["orders"]}
    for order in tables.orders:
        theirs = by_uuid.get(order["exchange_uuid"])
        if theirs is None:
            continue
        fills = [fill for fill in tables.fills if fill["order_id"] == order["id"]]
        ours = tuple(sum((f[name] for f in fills), ZERO) for name in ("volume", "funds", "fee"))
        said = tuple(
            Decimal(theirs[name]) for name in ("executed_volume", "executed_funds", "paid_fee")
        )
        stored = (order["executed_volume"], order["executed_funds"], order["paid_fee"])
        if not ours == said == stored:
            yield f"I3: order {order['id']}: fills {ours}, exchange {said}, stored {stored}"
    trades = {trade["uuid"] for trade in ledger["trades"]}
    trades -= {trade["uuid"] for trade in _foreign_trades(ledger)}
    if trades != {fill["trade_uuid"] for fill in tables.fills}:
        yield "I3: the exchange's trades and our fills are not the same"


def _money(tables: StoredTables, ledger: Mapping[str, Any]) -> Iterator[str]:
    """I4, I5, I6: opening plus fills is what the account holds, and what the positions say."""
    expected = {currency: Decimal(amount) for currency, amount in ledger["opening"].items()}
    held: dict[str, Decimal] = {}
    for fill in tables.fills:
        quote, base = fill["market"].split("-")
        sign = 1 if fill["side"] == "BUY" else -1
        expected[quote] = expected.get(quote, ZERO) - sign * fill["funds"] - fill["fee"]
        expected[base] = expected.get(base, ZERO) + sign * fill["volume"]
        held[fill["market"]] = held.get(fill["market"], ZERO) + sign * fill["volume"]
    for trade in _foreign_trades(ledger):
        quote, base = trade["market"].split("-")
        sign = 1 if trade["side"] == "bid" else -1
        paid = sign * Decimal(trade["funds"]) + Decimal(trade["fee"])
        expected[quote] = expected.get(quote, ZERO) - paid
        expected[base] = expected.get(base, ZERO) + sign * Decimal(trade["volume"])
    actual = {
        account["currency"]: Decimal(account["balance"]) + Decimal(account["locked"])
        for account in ledger["accounts"]
    }
    for currency in expected.keys() | actual.keys():
        if expected.get(currency, ZERO) != actual.get(currency, ZERO):
            yield (
                f"I4/I5: {currency}: the fills explain {expected.get(currency, ZERO)},"
                f" the exchange holds {actual.get(currency, ZERO)}"
            )
    for position in tables.positions:
        if position["volume"] != held.get(position["market"], ZERO):
            yield f"I6: the position in {position['market']} is not the sum of its fills"


def _signals(tables: StoredTables) -> Iterator[str]:
    """I7: every signal has its one decision, every allowed one its order or why it has none."""
    decided = sum(tables.decisions.values())
    if tables.signals != decided:
        yield f"I7: {tables.signals} signals, {decided} decisions"
    if tables.allowed_unanswered:
        yield f"I7: the allowed decisions {tables.allowed_unanswered} have no order and no lapse"
