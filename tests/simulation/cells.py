"""The cells that every run must reach: `python -m tests.simulation --cells` writes them.

A cell says that a fault met an order in a state, and how that order ended. What is not
here is impossible, or too rare to be asked of each run.
"""

from collections.abc import Mapping
from typing import Final

CELLS: Final[Mapping[str, Mapping[str, str]]] = {
    "418": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "FAILED",
    },
    "429": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "429 after": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "500 after": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "503 before": {
        "PENDING": "CANCELLED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED FAILED",
    },
    "answered twice": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "cancelled in the app": {
        "PENDING": "CANCELLED",
        "SUBMITTED": "CANCELLED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED",
    },
    "count without trades": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "cut answer": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "dropped after": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "dropped before": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "executed late": {
        "PENDING": "CANCELLED EXECUTED",
    },
    "half of the trades": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "halted": {
        "PENDING": "CANCELLED EXECUTED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "killed after find.answered": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "killed after find.executed": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "killed after find.left": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED FAILED",
    },
    "killed after lease.acquire.committed": {
        "SUBMITTED": "CANCELLED",
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
        "SUBMITTED": "EXECUTED",
        "UNKNOWN": "EXECUTED",
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
    "not found for a while": {
        "SUBMITTED": "CANCELLED EXECUTED",
        "PARTIALLY_FILLED": "CANCELLED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "reducing": {
        "PENDING": "CANCELLED EXECUTED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "refused connection": {
        "PENDING": "FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "slow": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED FAILED",
    },
    "stopped": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "store: answer lost": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "store: down": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
    },
    "store: lost before": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "EXECUTED FAILED",
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
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
    "switched off": {
        "PENDING": "CANCELLED EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "FAILED",
    },
    "trades twice": {
        "PENDING": "EXECUTED FAILED",
        "SUBMITTED": "CANCELLED EXECUTED",
        "UNKNOWN": "CANCELLED EXECUTED FAILED",
    },
}
