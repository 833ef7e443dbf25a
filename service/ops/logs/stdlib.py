"""Hands to loguru what is not logged through it: logging, warnings, uncaught exceptions."""

import logging
import sys
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final

from aiohttp.http_exceptions import HttpProcessingError
from loguru import logger
from psycopg2.extensions import QueryCanceledError

_OFF: Final = logging.CRITICAL + 1
#: Their own levels, because INFO would bring request lines with addresses and keys.
LEVELS: Final[Mapping[str, int]] = {
    "aiohttp.access": _OFF,  # the web room writes its own line
    "backoff": _OFF,  # prints the error's text; the runner reports
    "apprise": _OFF,  # quotes addresses and answers; the courier reports
    "asyncio": logging.WARNING,
    "google_genai": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "httpx2": logging.WARNING,
    "urllib3": logging.ERROR,  # its warnings quote paths, and a webhook's path is its password
    "yoyo": logging.WARNING,
}


class Intercept(logging.Handler):
    """Hands each record of `logging` to loguru, and so to the one sink."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:  # noqa: BLE001 - logging.info("%d", "x"): the template still says where
            message = f"{record.msg} (its arguments do not fit)"
        line = logger.bind(logger=record.name).opt(exception=record.exc_info)
        # No arguments: braces in foreign text are not a template then.
        line.log(_level(record), message)


def _level(record: logging.LogRecord) -> str | int:
    try:
        return logger.level(record.levelname).name
    except ValueError:
        return record.levelno


def _tone_down_bad_requests(record: logging.LogRecord) -> bool:
    """A client that does not speak HTTP is the client's fault, not an error of ours."""
    error = _error_of(record)
    if isinstance(error, HttpProcessingError):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
        record.msg, record.args = "a request was not HTTP: %s", (type(error).__name__,)
        record.exc_info = None
    return True


def _leave_to_the_caller(record: logging.LogRecord) -> bool:
    """Drop what aiopg reports to the event loop; its caller gets the same error as StoreTimeout.

    It would be one error with a traceback for each statement that a slow database cancels.
    """
    return not isinstance(_error_of(record), QueryCanceledError)


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None


#: Filters stand on the very logger that is called: those of its parents are not asked.
_FILTERS: Final = (
    ("aiohttp.server", _tone_down_bad_requests),
    ("asyncio", _leave_to_the_caller),
)


class Interception:
    """Takes over `logging`, `warnings` and the exception hooks until `undo`."""

    def __init__(self, level: str) -> None:
        root = logging.getLogger()
        self._root = (root.handlers[:], root.level)
        self._levels = {name: logging.getLogger(name).level for name in LEVELS}
        self._hooks = (sys.excepthook, threading.excepthook)
        root.handlers[:] = [Intercept()]
        root.setLevel(level)
        for name, at_least in LEVELS.items():
            logging.getLogger(name).setLevel(max(at_least, root.level))
        for name, kept in _FILTERS:
            logging.getLogger(name).addFilter(kept)
        logging.captureWarnings(capture=True)
        sys.excepthook = _uncaught(self._hooks[0])
        threading.excepthook = _uncaught_in_thread

    def undo(self) -> None:
        root = logging.getLogger()
        root.handlers[:], level = self._root
        root.setLevel(level)
        for name, before in self._levels.items():
            logging.getLogger(name).setLevel(before)
        for name, kept in _FILTERS:
            logging.getLogger(name).removeFilter(kept)
        logging.captureWarnings(capture=False)
        sys.excepthook, threading.excepthook = self._hooks


_Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def _uncaught(otherwise: _Hook) -> _Hook:
    def hook(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
        if issubclass(kind, Exception):
            # Python's own hook would print it to stderr unmasked.
            logger.opt(exception=(kind, error, frames)).critical("the process ends by an error")
        else:
            otherwise(kind, error, frames)

    return hook


def _uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is None or isinstance(args.exc_value, SystemExit):
        return
    failure = (args.exc_type, args.exc_value, args.exc_traceback)
    logger.opt(exception=failure).error("a thread ended by an error")
