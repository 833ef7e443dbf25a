"""What may be ordered now, known in memory: effective before the database has it, and without it.

A halt asked for here is in force from the first line of `halt`. It is in a file on the disk before
the answer, and in the database as soon as that answers.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from loguru import logger

from service.domain.errors import BoundaryError, JournalDown, StoreDown, TradingStopped
from service.domain.markets import Market
from service.domain.orders import Side
from service.domain.trading_states import (
    Ends,
    HaltKind,
    OrderAct,
    OrderSource,
    TradingStatus,
    permits,
    strictest,
)
from service.ports.clock import MarketClock, RealClock
from service.ports.halt_journal import HaltJournal, JournalEntry
from service.ports.store import JSON, TRADING_STATE, Audit, Halt, TradingState, TradingStates
from service.settings.settings import Settings
from service.settings.table import TRADING_ENABLED

#: Real seconds that a halt's answer waits for the database; the loop tries again.
STORE_WITHIN_S: Final = 0.5
REFRESH_EVERY_S: Final = 2.0
UNREADABLE: Final = "halt_journal_unreadable"
JOURNAL: Final = "system:halt_journal"
#: Reasons of the trading state that no halt has.
UNKNOWN: Final = "state_unknown"
SWITCHED_OFF: Final = "trading_enabled is false"
_HEARD: Final = frozenset({TRADING_ENABLED.name, TRADING_STATE})


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltReceipt:
    """Where a halt is stored when its answer leaves."""

    in_database: bool
    in_journal: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingSummary:
    status: TradingStatus
    reason: str | None
    since: datetime | None  #: the market's instant; None where it is not known


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The database's side, as last read."""

    state: TradingState
    halts: Sequence[Halt]
    is_enabled: bool


@dataclass(slots=True, kw_only=True)
class _Pending:
    """A halt of this process until a reading of the database shows it."""

    entry: JournalEntry
    in_journal: bool = False
    is_audited: bool = False
    is_stored: bool = False
    #: It was put in force without a wait, so its file is written with the next step.
    is_imposed: bool = False


class TradingSwitch:
    """Knows the trading state of this process; the lease is not part of it.

    Args:
        new_id: names the entries of the journal.
    """

    def __init__(
        self,
        *,
        states: TradingStates,
        settings: Settings,
        journal: HaltJournal,
        audit: Audit,
        clock: MarketClock,
        real_clock: RealClock,
        new_id: Callable[[], str],
    ) -> None:
        self._states = states
        self._settings = settings
        self._journal = journal
        self._audit = audit
        self._clock = clock
        self._real_clock = real_clock
        self._read_at: float | None = None
        self._new_id = new_id
        self._reading: _Reading | None = None
        self._doubted: set[str] = set()  #: names that may have changed and could not be read
        self._pending: list[_Pending] = []
        self._read_lock, self._store_lock = asyncio.Lock(), asyncio.Lock()
        settings.on_change(self.heard)

    # --- reading ---------------------------------------------------------------------------------

    def check(self, *, source: OrderSource, side: Side, market: Market) -> None:
        """Raises: TradingStopped, unless the state permits this order now. Waits for nothing."""
        status = self.status(market)
        if (source, side) == (OrderSource.RULE, Side.SELL):
            is_permitted = self.permits_exit(market)
        else:
            is_permitted = permits(status, source, OrderAct.of(side))
        if not is_permitted:
            raise TradingStopped(f"{market}: the trading state {status} permits no {side} order")

    def permits_exit(self, market: Market) -> bool:
        """Whether a rule may sell now: by what is known, once the state was read.

        A doubt would leave the position to its loss for as long as the database is away. Every halt
        that is asked for in this process is known at once, and one of another process is seen by
        the order's insert where the database answers.
        """
        return self._reading is not None and permits(
            self.known_status(market), OrderSource.RULE, OrderAct.SELL
        )

    def status(self, market: Market | None = None) -> TradingStatus:
        """Return the state of `market`, or of all markets together; a doubt makes it stricter."""
        if self._reading is None or TRADING_STATE in self._doubted:
            return TradingStatus.HALTED
        known = self.known_status(market)
        # The setting has no stricter value than off.
        return strictest((known, TradingStatus.DISABLED)) if self._doubted else known

    def known_status(self, market: Market | None = None) -> TradingStatus:
        """Return as `status` what is known, however old: no doubt makes it stricter."""
        own = [
            pending.entry.halt.kind
            for pending in self._pending
            if pending.entry.halt.market in {None, market}
        ]
        reading = self._reading
        if reading is None:
            return strictest(own)
        state = reading.state.state if market is None else reading.state.of(market)
        enabled = TradingStatus.ACTIVE if reading.is_enabled else TradingStatus.DISABLED
        return strictest((state, enabled, *own))

    def stops(self) -> frozenset[object]:
        """Return what stops purchases anywhere: the halts that are known, and the switch."""
        stops: set[object] = {_identity(halt) for halt in self.halts()}
        if self.is_enabled is False:
            stops.add(SWITCHED_OFF)
        return frozenset(stops)

    def summary(self) -> TradingSummary:
        """Return the state of all markets together, with its reason."""
        status, reading = self.status(), self._reading
        if reading is None or self._doubted:
            return TradingSummary(status=status, reason=UNKNOWN, since=None)
        if status is TradingStatus.DISABLED:
            return TradingSummary(status=status, reason=SWITCHED_OFF, since=None)
        for halt in self.halts():
            if halt.market is None and halt.kind is status:
                return TradingSummary(status=status, reason=halt.reason, since=halt.since)
        return TradingSummary(status=status, reason=reading.state.reason, since=reading.state.since)

    def age_s(self) -> float | None:
        """Return the real seconds since the database was read; None before the first time."""
        return None if self._read_at is None else self._real_clock.monotonic() - self._read_at

    @property
    def is_enabled(self) -> bool | None:
        """Return the setting trading_enabled as last read; None before."""
        return None if self._reading is None else self._reading.is_enabled

    def halts(self) -> Sequence[Halt]:
        """Return the halts in force here; those of this process, not read yet, come last."""
        read = () if self._reading is None else self._reading.halts
        known = {_identity(halt) for halt in read}
        own = (pending.entry.halt for pending in self._pending)
        return (*read, *(halt for halt in own if _identity(halt) not in known))

    def stands(self, *, reason: str, actor: str, market: Market | None = None) -> bool:
        """Whether a halt that `actor` made for `reason` is in force here."""
        wanted = (reason, actor, market)
        return any((halt.reason, halt.actor, halt.market) == wanted for halt in self.halts())

    def unstored(self) -> Sequence[Halt]:
        """Return the halts that the database does not have yet."""
        return tuple(pending.entry.halt for pending in self._pending if not pending.is_stored)

    # --- following the database ------------------------------------------------------------------

    async def load(self) -> None:
        """Read the journal, then the database; call it before the first order.

        A database that does not answer is asked again by `step`; until then nothing is permitted.
        """
        content = await self._journal.read()
        self._pending.extend(_Pending(entry=entry, in_journal=True) for entry in content.unsettled)
        if content.fault is not None:
            logger.bind(event="risk", reason=UNREADABLE, cause=content.fault).error(
                "the file of halts is damaged: trading is halted, an operator must resume it"
            )
            self._pending.append(_Pending(entry=self._damage(content.fault)))
        try:
            await self.step()
        except BoundaryError as exc:
            logger.bind(event="risk", error=type(exc).__name__, cause=str(exc)).warning(
                "the trading state cannot be read yet, nothing is permitted until it is"
            )

    async def step(self) -> None:
        """Store what only this process knows, and read what others have changed.

        Raises: BoundaryError.
        """
        await self._store_all()
        await self.refresh()

    async def refresh(self) -> None:
        """Read the state past every cache. Raises: BoundaryError."""
        async with self._read_lock:
            # A halt stored after the reading began may be missing from it, and stays pending.
            covered = [pending for pending in self._pending if pending.is_stored]
            began = self._real_clock.monotonic()
            self._reading = _Reading(
                state=await self._states.trading_state(),
                halts=await self._states.standing(),
                is_enabled=await self._settings.stored(TRADING_ENABLED),
            )
            self._read_at = began
            self._doubted.clear()
            self._pending = [pending for pending in self._pending if pending not in covered]

    async def heard(self, name: str) -> None:
        """Take the news that the state or the setting may have changed."""
        if name not in _HEARD:
            return
        try:
            await self.refresh()
        except BoundaryError as exc:
            self._doubted.add(name)
            logger.bind(
                event="risk", setting=name, error=type(exc).__name__, cause=str(exc)
            ).warning(
                "the trading state may have changed and cannot be read: until it is, nothing is"
                " bought, and a stop sells by what was known"
            )

    # --- changing --------------------------------------------------------------------------------

    async def halt(
        self,
        *,
        kind: HaltKind,
        reason: str,
        actor: str,
        market: Market | None = None,
        detail: Mapping[str, JSON] | None = None,
        request_id: str | None = None,
    ) -> HaltReceipt:
        """Halt as an operator: in force at once, stored where it can be, within about a second."""
        pending = self._add(
            Halt(
                kind=kind,
                reason=reason,
                actor=actor,
                since=self._clock.now(),
                ends="operator",
                market=market,
                detail=detail or {},
            ),
            request_id,
        )
        log = logger.bind(event="risk", reason=reason, actor=actor, kind=kind.value)
        log.bind(market=market and str(market)).warning("an operator halts trading")
        if not pending.in_journal:
            await self._write(pending)
        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                await self._store(pending)
        except (BoundaryError, TimeoutError) as exc:
            log.bind(error=type(exc).__name__, cause=str(exc)).warning(
                "the halt is in force and not in the database yet, it will be written"
            )
        return HaltReceipt(in_database=pending.is_stored, in_journal=pending.in_journal)

    def impose(
        self,
        *,
        reason: str,
        actor: str,
        market: Market | None = None,
        detail: Mapping[str, JSON] | None = None,
        ends: Ends = "condition",
    ) -> bool:
        """Stop purchases as a rule of ours: in force when this returns. Waits for nothing.

        `step` stores it, in the file first. False, and nothing new, while the same halt stands.
        """
        halt = Halt(
            kind=TradingStatus.REDUCING,
            reason=reason,
            actor=actor,
            since=self._clock.now(),
            ends=ends,
            market=market,
            detail=detail or {},
        )
        if self.stands(reason=reason, actor=actor, market=market):
            return False
        pending = self._add(halt, None)
        # The risk event says it: the log of callers' actions is for callers.
        pending.is_imposed = pending.is_audited = True
        return True

    async def lift(
        self,
        *,
        reason: str,
        actor: str,
        market: Market | None = None,
        detail: Mapping[str, JSON] | None = None,
    ) -> bool:
        """End the halts that `actor`, a rule of ours, made for `reason`; False without one.

        Raises: BoundaryError, when the database does not answer: a halt ends only there.
        """
        await self._store_all()
        ended = await self._states.resume(
            reason=reason, actor=actor, at=self._clock.now(), detail=detail or {}, market=market
        )
        await self.heard(TRADING_STATE)
        return ended

    async def resume(
        self,
        *,
        actor: str,
        reasons: Collection[str] | None = None,
        request_id: str | None = None,
    ) -> Sequence[Halt]:
        """End halts as an operator; see TradingStates.release.

        Raises: BoundaryError, when the database does not answer: a halt ends only there.
        """
        try:
            await self._store_all()
            at = self._clock.now()
            named: JSON = None if reasons is None else sorted(reasons)
            await self._audit.add(
                actor=actor,
                action="risk.resume",
                subject="trading",
                detail={"reasons": named},
                request_id=request_id,
                at=at,
            )
            ended = await self._states.release(actor=actor, at=at, reasons=reasons)
        except BoundaryError as exc:
            raise StoreDown(
                "trading stays as it is: a halt ends only in the database, which does not answer",
                retry_after_s=exc.retry_after_s,
            ) from exc
        for halt in ended:
            logger.bind(event="risk", reason=halt.reason, actor=actor).warning(
                "an operator ends a halt"
            )
        await self.heard(TRADING_STATE)
        return ended

    def _add(self, halt: Halt, request_id: str | None) -> _Pending:
        """Put the halt in force. The same one again, not stored yet, is not added twice.

        One that is stored and was not read back is no answer: it may have been ended since.
        """
        for pending in self._pending:
            if not pending.is_stored and _identity(pending.entry.halt) == _identity(halt):
                return pending
        entry = JournalEntry(id=self._new_id(), halt=halt, request_id=request_id)
        pending = _Pending(entry=entry)
        self._pending.append(pending)
        return pending

    def _damage(self, fault: str) -> JournalEntry:
        halt = Halt(
            kind=TradingStatus.HALTED,
            reason=UNREADABLE,
            actor=JOURNAL,
            since=self._clock.now(),
            ends="operator",
            detail={"fault": fault},
        )
        return JournalEntry(id=self._new_id(), halt=halt, request_id=None)

    async def _write(self, pending: _Pending) -> None:
        try:
            await self._journal.append(pending.entry)
        except JournalDown as exc:
            logger.bind(event="risk", cause=str(exc.__cause__)).error(
                "a halt could not be written to its file"
            )
        else:
            pending.in_journal = True

    async def _store_all(self) -> None:
        pendings = tuple(self._pending)
        for pending in pendings:
            if pending.is_imposed and not pending.in_journal:
                await self._write(pending)
        for pending in pendings:
            await self._store(pending)

    async def _store(self, pending: _Pending) -> None:
        """Write the halt to the database; after an unknown outcome it is written again."""
        async with self._store_lock:
            if pending.is_stored:
                return
            halt = pending.entry.halt
            if not pending.is_audited:
                await self._audit.add(
                    actor=halt.actor,
                    action="risk.halt",
                    subject="trading" if halt.market is None else str(halt.market),
                    detail={"kind": halt.kind.value, "reason": halt.reason},
                    request_id=pending.entry.request_id,
                    # Of the request, not of this try: by it the row is known after a lost answer,
                    # and by the next process, that finds the halt in the file.
                    at=halt.since,
                    once=True,
                )
                pending.is_audited = True
            await self._states.halt(
                kind=halt.kind,
                reason=halt.reason,
                actor=halt.actor,
                at=halt.since,
                detail=halt.detail,
                market=halt.market,
                ends=halt.ends,
            )
            pending.is_stored = True
        await self._settle(pending)

    async def _settle(self, pending: _Pending) -> None:
        try:
            if pending.entry.halt.reason == UNREADABLE:
                # The halt is a row now and outlives the next start; the file is kept to be read.
                await self._journal.set_aside()
            elif pending.in_journal:
                await self._journal.settle(pending.entry.id)
        except JournalDown as exc:
            logger.bind(event="risk", cause=str(exc.__cause__)).warning(
                "the file of halts could not be tidied, the next start writes its halts again"
            )


def _identity(halt: Halt) -> tuple[object, ...]:
    return halt.kind, halt.reason, halt.actor, halt.market
