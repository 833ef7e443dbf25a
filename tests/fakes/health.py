"""The health of the process, as set by the test."""

from typing import cast

from service.ports.health import ComponentBody, HealthBody, StuckOrders, TradingBody

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
        stuck: what `stuck_orders` returns.
    """

    def __init__(self, *, mode: str = "sandbox") -> None:
        self.ready = True
        self.stuck: StuckOrders | None = StuckOrders((), True, 0)
        self.snapshot = HealthBody(
            status="healthy",
            mode=mode,
            version="0.1.0",
            time="2026-01-24T09:00:00.000Z",
            uptime_seconds=3600,
            trading=TradingBody(
                state="ACTIVE", reason=None, since="2026-01-24T08:00:00.000Z", age_seconds=0
            ),
            components={name: a_component() for name in COMPONENTS}
            | {
                "recent_order": a_component(
                    open_orders={"UNKNOWN": 0}, stuck_orders=0, orders_aside=0
                )
            },
        )

    def body(self) -> HealthBody:
        return self.snapshot

    def stuck_orders(self) -> StuckOrders | None:
        return self.stuck

    def is_ready(self) -> bool:
        return self.ready
