"""The cells that every run must reach: `python -m tests.simulation --cells` writes them.

A cell says that a fault met an order in a state, and how that order ended. What is not
here is impossible, or too rare to be asked of each run.
"""

from collections.abc import Mapping
from typing import Final

CELLS: Final[Mapping[str, Mapping[str, str]]] = {
    "418": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED",
    },
    "429": {
        "PENDING": "CANCELLED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "FAILED",
    },
    "429 after": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "500 after": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "503 before": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "absurd fee": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED",
    },
    "absurd volume": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "answered twice": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "backup restored": {
        "SUBMITTED": "CANCELLED EXECUTED",
    },
    "cancel with nothing": {
        "PENDING": "CANCELLED EXECUTED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "cancelled in the app": {
        "PENDING": "CANCELLED",
        "SUBMITTED": "CANCELLED",
        "PARTIALLY_FILLED": "CANCELLED",
    },
    "count without trades": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "cut answer": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED",
    },
    "deposit": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED FAILED",
    },
    "done with nothing": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED",
    },
    "dropped after": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "dropped before": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "FAILED",
    },
    "executed late": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED",
    },
    "executed very late": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "UNKNOWN": "CANCELLED",
    },
    "fee trails": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "half of the trades": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "halted": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "killed after find.answered": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "killed after find.executed": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "killed after find.left": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "killed after orders.add.committed": {
        "PENDING": "CANCELLED EXECUTED FAILED",
    },
    "killed after orders.add.left": {
        "SUBMITTED": "CANCELLED",
    },
    "killed after orders.advance.committed": {
        "SUBMITTED": "CANCELLED EXECUTED",
    },
    "killed after orders.advance.left": {
        "PENDING": "CANCELLED EXECUTED",
        "SUBMITTED": "CANCELLED EXECUTED",
    },
    "killed after post.answered": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "killed after post.executed": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "killed after post.left": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "killed after signals.add_decision.committed": {
        "SUBMITTED": "CANCELLED",
    },
    "lags": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "look-ups away": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED",
    },
    "not found for a while": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "operator's word": {
        "FAILED": "FAILED",
    },
    "owner buys": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "reducing": {
        "PENDING": "EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "refused connection": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "slow": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED FAILED",
    },
    "slow connect": {
        "PENDING": "EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "FAILED",
    },
    "stopped": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "store: answer lost": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "store: down": {
        "PENDING": "EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "store: lost before": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "store: slow answer": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED FAILED",
    },
    "store: slow statement": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "FAILED",
    },
    "switched off": {
        "PENDING": "EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED",
    },
    "trades twice": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED",
    },
}
