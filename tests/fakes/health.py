"""The health of the process, as set by the test."""

from typing import cast

from service.ports.health import ComponentBody, HealthBody, TradingBody

COMPONENTS = (
    "database",
    "upbit_api",
    "gemini_api",
    "scheduler",
    "recent_signal",
    "recent_order",
)


def a_component(**overrides: object) -> ComponentBody:
    body: dict[str, object] = {"status": "healthy", "reason": None, "message": None}
    return cast("ComponentBody", body | overrides)


class FakeHealth:
    """Satisfies ports.HealthSource.

    Attributes:
        snapshot: what `body` returns; change it freely.
        ready: what `is_ready` returns.
    """

    def __init__(self, *, mode: str = "sandbox") -> None:
        self.ready = True
        self.snapshot = HealthBody(
            status="healthy",
            mode=mode,
            version="0.1.0",
            time="2026-01-24T09:00:00.000Z",
            uptime_seconds=3600,
            trading=TradingBody(state="ACTIVE", reason=None, since="2026-01-24T08:00:00.000Z"),
            components={name: a_component() for name in COMPONENTS},
        )

    def body(self) -> HealthBody:
        return self.snapshot

    def is_ready(self) -> bool:
        return self.ready
