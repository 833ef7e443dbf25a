"""The log lines of a test, as an operator reads them."""

import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from service.ops.logs.setup import Log, configure


class Logs:
    """The lines that went through the real sink, masked as in production."""

    def __init__(self) -> None:
        self.stream = io.BytesIO()
        self._log: Log | None = None

    @classmethod
    @contextmanager
    def captured(cls, **options: Any) -> Iterator["Logs"]:
        """Log only to this object; `options` as for `configure`."""
        logs = cls()
        given = {"level": "DEBUG", "mode": "sandbox", "version": "0.0.0", "instance": "test"}
        with configure(stream=logs.stream, **(given | options)) as logs._log:
            yield logs

    @property
    def log(self) -> Log:
        assert self._log is not None
        return self._log

    @property
    def raw(self) -> bytes:
        if self._log is not None:
            assert self._log.flush(), "a line is not written"
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.raw.split(b"\n") if line]

    @property
    def levels(self) -> list[str]:
        return [line["level"] for line in self.lines]

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    def of(self, event: str) -> list[dict[str, Any]]:
        """Return the lines of one `event`, e.g. job."""
        return [line for line in self.lines if line["event"] == event]
