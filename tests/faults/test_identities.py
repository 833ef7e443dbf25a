"""Tests of the harness: it finds broken identities and leaks."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.faults.identities import breaches, stored_tables
from tests.faults.soak import Sample, slope_an_hour, verdict

Tables = dict[str, list[dict[str, Any]]]
Ledger = dict[str, Any]


def a_purchase() -> tuple[Tables, Ledger]:
    """One order of 5,000 won with a fee of 2.5, as both sides have it."""
    order = {
        "id": 1,
        "identifier": "uat-1",
        "exchange_uuid": "u-1",
        "decision_id": 1,
        "status": "EXECUTED",
        "executed_volume": Decimal("0.00005"),
        "executed_funds": Decimal(5000),
        "paid_fee": Decimal("2.5"),
    }
    fill = {
        "trade_uuid": "t-1",
        "order_id": 1,
        "market": "KRW-BTC",
        "side": "BUY",
        "volume": Decimal("0.00005"),
        "funds": Decimal(5000),
        "fee": Decimal("2.5"),
    }
    tables: Tables = {
        "orders": [order],
        "fills": [fill],
        "positions": [{"market": "KRW-BTC", "volume": Decimal("0.00005")}],
        "signals": [{"n": 2}],
        "decisions": [{"verdict": "ALLOWED", "n": 1}, {"verdict": "HELD", "n": 1}],
        "unanswered": [],
    }
    ledger: Ledger = {
        "opening": {"KRW": "10000"},
        "accounts": [
            {"currency": "KRW", "balance": "4997.5", "locked": "0"},
            {"currency": "BTC", "balance": "0.00005", "locked": "0"},
        ],
        "orders": [
            {
                "identifier": "uat-1",
                "uuid": "u-1",
                "executed_volume": "0.00005",
                "executed_funds": "5000",
                "paid_fee": "2.5",
            }
        ],
        "trades": [{"uuid": "t-1"}],
    }
    return tables, ledger


def test_books_that_balance_have_no_breach() -> None:
    tables, ledger = a_purchase()

    assert breaches(stored_tables(tables), ledger) == []


def twice(tables: Tables, ledger: Ledger) -> None:
    tables["orders"].append(tables["orders"][0] | {"id": 2, "identifier": "uat-2"})


def unseen(tables: Tables, ledger: Ledger) -> None:
    ledger["orders"].append(ledger["orders"][0] | {"identifier": "uat-9", "uuid": "u-9"})


def unsettled(tables: Tables, ledger: Ledger) -> None:
    tables["orders"].append(tables["orders"][0] | {"identifier": "uat-2", "status": "UNKNOWN"})


def a_fill_lost(tables: Tables, ledger: Ledger) -> None:
    tables["fills"].clear()


def a_won_gone(tables: Tables, ledger: Ledger) -> None:
    ledger["accounts"][0]["balance"] = "4996.5"


def a_position_off(tables: Tables, ledger: Ledger) -> None:
    tables["positions"][0]["volume"] = Decimal("0.00006")


def a_signal_forgotten(tables: Tables, ledger: Ledger) -> None:
    tables["signals"] = [{"n": 3}]


def an_order_forgotten(tables: Tables, ledger: Ledger) -> None:
    tables["unanswered"] = [{"id": 1}]


@pytest.mark.parametrize(
    ("spoil", "identity"),
    [
        (twice, "I2"),
        (unseen, "I1"),
        (unsettled, "I1"),
        (a_fill_lost, "I3"),
        (a_won_gone, "I4"),
        (a_position_off, "I6"),
        (a_signal_forgotten, "I7"),
        (an_order_forgotten, "I7"),
    ],
)
def test_each_identity_is_missed_when_it_does_not_hold(
    spoil: Callable[[Tables, Ledger], None], identity: str
) -> None:
    tables, ledger = a_purchase()
    spoil(tables, ledger)

    assert any(found.startswith(identity) for found in breaches(stored_tables(tables), ledger))


def an_order_of_hand(tables: Tables, ledger: Ledger) -> None:
    """The owner has bought 0.0001 coins for 1,000 won, without us."""
    ledger["orders"].append({"uuid": "u-2"})
    ledger["trades"].append(
        {
            "uuid": "t-2",
            "order": "u-2",
            "market": "KRW-BTC",
            "side": "bid",
            "volume": "0.0001",
            "funds": "1000",
            "fee": "0.5",
        }
    )
    ledger["accounts"][0]["balance"] = "3997"
    ledger["accounts"][1]["balance"] = "0.00015"


def orders_without_decision(tables: Tables, ledger: Ledger) -> None:
    """Two orders by hand."""
    for row in (*tables["orders"], *tables["orders"]):
        row["decision_id"] = None
    tables["decisions"] = [{"verdict": "HELD", "n": 2}]
    tables["orders"].append(tables["orders"][0] | {"id": 2, "identifier": "uat-2"})
    tables["orders"][1] |= {"exchange_uuid": "u-2", "executed_volume": Decimal(0)}
    tables["orders"][1] |= {"executed_funds": Decimal(0), "paid_fee": Decimal(0)}
    nothing = {"executed_volume": "0", "executed_funds": "0", "paid_fee": "0"}
    ledger["orders"].append({"identifier": "uat-2", "uuid": "u-2"} | nothing)


@pytest.mark.parametrize("happens", [an_order_of_hand, orders_without_decision])
def test_what_no_decision_made_breaks_no_identity(
    happens: Callable[[Tables, Ledger], None],
) -> None:
    tables, ledger = a_purchase()
    happens(tables, ledger)

    assert breaches(stored_tables(tables), ledger) == []


def samples(*, mb_a_minute: float) -> list[Sample]:
    return [
        Sample(60.0 * n, rss_mb=120 + mb_a_minute * n, descriptors=40, threads=4, sessions=11)
        for n in range(20)
    ]


def test_what_grows_is_told_from_what_is_flat() -> None:
    (grows,) = verdict(samples(mb_a_minute=2))

    assert grows.startswith("rss_mb")
    assert verdict(samples(mb_a_minute=0.1)) == []
    step = [replace(one, rss_mb=140 if one.at_s > 900 else 120) for one in samples(mb_a_minute=0)]
    assert verdict(step) == []
    assert slope_an_hour([(0, 1), (3600, 3)]) == 2
