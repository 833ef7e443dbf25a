"""Makes notices of problems that no row records: failed jobs, components, model answers."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date
from typing import Final

from loguru import logger

from service.domain.alerts import Notice, Recovery
from service.domain.errors import BoundaryError
from service.domain.markets import Market
from service.domain.stuck_orders import OpenOrder
from service.flows.alerts.buffer import AlertBuffer
from service.flows.alerts.rules import RULES, alert, recovery
from service.ports.clock import MarketClock
from service.ports.health import UNREAD, HealthSource, StuckOrders
from service.ports.machine import DISK_UNHEALTHY_PCT, DISK_WARNING_PCT

UNUSABLE_IN_A_ROW: Final = 3
_HALTS: Final = {"HALTED": "trading_halted", "REDUCING": "trading_reducing"}
#: The problems that a state excludes. A stricter state may hide a milder halt, which then stands.
_OVER: Final = {
    "ACTIVE": ("trading_halted", "trading_reducing"),
    "DISABLED": ("trading_halted",),
    "REDUCING": ("trading_halted",),
}


_DISK_FROM_PCT: Final = {
    "disk_filling": DISK_WARNING_PCT,
    "disk_nearly_full": DISK_UNHEALTHY_PCT,
}
#: An alert of the disk is over only so far below its bound: one file must not begin it again.
_DISK_WELL_BELOW_PCT: Final = 2.0
_STUCK: Final = "order_stuck"
_STUCK_KEY, _STUCK_END = RULES[_STUCK].key.split("{identifier}")


class AlertMonitor:
    """Turns results and health into notices. Its methods never wait and never fail."""

    def __init__(self, *, alert_buffer: AlertBuffer, clock: MarketClock) -> None:
        self._alert_buffer = alert_buffer
        self._clock = clock
        self._open: set[str] = set()
        self._unusable = 0
        self._trading: str | None = None
        self._stuck: StuckOrders | None = None

    def inherit(self, keys: Iterable[str]) -> None:
        """Take over the open problems of an earlier process, so that their end is noticed here."""
        self._open.update(keys)

    def job_ended(self, job: str, *, error: Exception | None, attempts: int) -> None:
        """Note the end of a pass; with an `error` all its attempts failed."""
        if error is None:
            self._end("job_given_up", job=job)
        else:
            self._begin("job_given_up", job=job, error=_named(error), attempts=attempts)

    def model_answered(self, *, usable: bool, why: str | None = None) -> None:
        if usable:
            self._unusable = 0
            self._end("model_unusable")
            return
        self._unusable += 1
        if self._unusable >= UNUSABLE_IN_A_ROW:
            self._begin("model_unusable", count=self._unusable, why=why or "no reason given")

    def feed_seen(
        self, *, is_lost: bool, markets: Collection[Market], unheard: Collection[Market]
    ) -> None:
        """Compare the stream of prices with the open problems of it and of each market."""
        if not is_lost:
            self._end("feed_lost")
        elif not self._is_open("feed_lost"):
            self._begin("feed_lost")
        for market in markets:
            if market not in unheard:
                self._end("market_unheard", market=market)
            elif not self._is_open("market_unheard", market=market):
                self._begin("market_unheard", market=market)

    def disk_used(self, used_pct: float) -> None:
        """Compare the used part of the disk with the bounds of its two alerts."""
        for event, from_pct in _DISK_FROM_PCT.items():
            if used_pct >= from_pct and not self._is_open(event):
                self._begin(event)
            elif used_pct < from_pct - _DISK_WELL_BELOW_PCT:
                self._end(event)

    def model_budget_near(self, day: date) -> None:
        self._add(alert("model_budget_near", at=self._clock.now(), day=day.isoformat()))

    def model_budget_used_up(self, day: date) -> None:
        self._add(alert("model_budget_used_up", at=self._clock.now(), day=day.isoformat()))

    def look(self, health: HealthSource) -> None:
        """Compare the health of the process with the open problems; add alerts and recoveries."""
        body = health.body()
        for name, part in body["components"].items():
            event = f"{name}_unhealthy"
            if event not in RULES:
                continue
            if part["status"] == "healthy":
                self._end(event, component=name)
            elif part["status"] == "unhealthy" and not self._is_open(event, component=name):
                self._begin(event, component=name, message=part["message"] or "No reason known.")
        self._compare_trading(body["trading"]["state"], body["trading"]["reason"])
        self._compare_stuck(health.stuck_orders())

    def _compare_trading(self, state: str, reason: str | None) -> None:
        if state == UNREAD:  # nothing is known to have changed
            return
        before, self._trading = self._trading, state
        event = _HALTS.get(state)
        if event is not None and not self._is_open(event):
            self._begin(event, reason=reason or "none given")
        for over in _OVER.get(state, ()):
            self._end(over)
        if state == "STANDBY" and before not in {"STANDBY", None}:
            self._add(alert("lease_lost", at=self._clock.now()))

    def _compare_stuck(self, found: StuckOrders | None) -> None:
        before = self._stuck
        if found is None or (before is not None and before.reading == found.reading):
            return
        self._stuck = found
        # In a fast market an order passes its bound while its answer is on the way. So an order
        # counts once two readings in a row find it.
        earlier = set() if before is None else {order.identifier for order in before.orders}
        for order in found.orders:
            # An order that is put aside has an alert of its own, in its transaction.
            is_new = order.identifier in earlier and not order.is_aside
            if is_new and not self._is_open(_STUCK, identifier=order.identifier):
                self._begin_stuck(order)
        if found.is_whole:
            self._end_stuck(still={order.identifier for order in found.orders})

    def positions_unprotected(self, reasons: Mapping[Market, str]) -> None:
        """Note which positions no stop can sell now, and why; those of other markets are safe."""
        event = "position_unprotected"
        prefix, suffix = RULES[event].key.split("{market}")
        for market, reason in reasons.items():
            if not self._is_open(event, market=market):
                self._begin(event, market=market, reason=reason)
        kept = {RULES[event].key.format(market=market) for market in reasons}
        for key in sorted(self._open - kept):
            if key.startswith(prefix) and key.endswith(suffix):
                self._end(event, market=key.removeprefix(prefix).removesuffix(suffix))

    def exit_journal_damaged(self, cause: str) -> None:
        self._add(alert("exit_journal_damaged", at=self._clock.now(), cause=cause))

    def positions_unwatched(self, markets: Collection[Market]) -> None:
        """Note of which markets' positions no sane price is known; those of others are watched."""
        self._compare_markets("position_unwatched", markets)

    def exits_undone(self, markets: Collection[Market]) -> None:
        """Note in which markets a rule has sold for long without selling all."""
        self._compare_markets("exit_undone", markets)

    def _compare_markets(self, event: str, markets: Collection[Market]) -> None:
        prefix, suffix = RULES[event].key.split("{market}")
        names = {str(market) for market in markets}
        for name in sorted(names):
            if not self._is_open(event, market=name):
                self._begin(event, market=name)
        for key in sorted(self._open):
            if key.startswith(prefix) and key.endswith(suffix):
                name = key.removeprefix(prefix).removesuffix(suffix)
                if name not in names:
                    self._end(event, market=name)

    def _begin_stuck(self, order: OpenOrder) -> None:
        logger.bind(
            event="order",
            identifier=order.identifier,
            market=str(order.market),
            status=order.status.value,
            age_s=int(order.age_s(self._clock.now())),
        ).warning("an order is not final long after it should be")
        self._begin(
            _STUCK,
            identifier=order.identifier,
            side=order.side.value,
            market=order.market,
            status=order.status.value,
            advice=order.advice,
        )

    def _end_stuck(self, *, still: Collection[str]) -> None:
        kept = {RULES[_STUCK].key.format(identifier=identifier) for identifier in still}
        for key in sorted(self._open - kept):
            if key.startswith(_STUCK_KEY) and key.endswith(_STUCK_END):
                identifier = key.removeprefix(_STUCK_KEY).removesuffix(_STUCK_END)
                logger.bind(event="order", identifier=identifier).info(
                    "an order that was not final is final"
                )
                self._end(_STUCK, identifier=identifier)

    def _begin(self, event: str, **values: object) -> None:
        seen = alert(event, at=self._clock.now(), **values)
        self._open.add(seen.key)
        self._add(seen)

    def _end(self, event: str, **values: object) -> None:
        if self._is_open(event, **values):
            over = recovery(event, at=self._clock.now(), **values)
            self._open.discard(over.key)
            self._add(over)

    def _add(self, notice: Notice) -> None:
        lost = self._alert_buffer.add(notice)
        if isinstance(lost, Recovery):
            self._open.add(lost.key)  # it is noticed again
        elif lost is not None:
            self._open.discard(lost.key)

    def _is_open(self, event: str, **values: object) -> bool:
        return RULES[event].key.format_map(values) in self._open


def _named(error: Exception) -> str:
    """Return the error's class and code; its text may come from outside."""
    code = error.code if isinstance(error, BoundaryError) else None
    name = type(error).__name__
    return f"{name} ({code})" if code else name
