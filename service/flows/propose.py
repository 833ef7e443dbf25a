"""Ask the model about one market and store its proposal as a signal."""

from dataclasses import asdict, replace
from typing import Final

from loguru import logger

from service.bus import Bus, SignalMade
from service.domain.days import korean_day
from service.domain.errors import BoundaryError
from service.domain.markets import Candle, Market, Timeframe
from service.domain.pricing import cost_usd
from service.domain.signals import Answer, Signal, Trigger, Usage
from service.flows.circuit_breaker import Circuit
from service.flows.collect_candles import MAX_CANDLES
from service.flows.prompt import Snapshot, facts, kept, prompt
from service.ports.clock import MarketClock, RealClock
from service.ports.exchange import Exchange
from service.ports.model import Model, Prompt
from service.ports.store import MarketData, ModelCall, NewSignal, Orders, Signals
from service.settings.settings import Settings
from service.settings.table import AI_MODEL, PRICE_TABLE

#: timeframe and number of candles, about 450 points: a prompt of some 4,000 tokens
LONG: Final = (Timeframe.H1, 336)
MID: Final = (Timeframe.M15, 96)
SHORT: Final = (Timeframe.M5, 12)
PURPOSE: Final = "signal"


class Proposer:
    """Takes a snapshot, makes the prompt, asks the model and stores the signal of one market."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        model: Model,
        market_data: MarketData,
        signals: Signals,
        orders: Orders,
        settings: Settings,
        bus: Bus,
        clock: MarketClock,
        real_clock: RealClock,
        circuit: Circuit,
    ) -> None:
        self._exchange = exchange
        self._model = model
        self._circuit = circuit
        self._market_data = market_data
        self._signals = signals
        self._orders = orders
        self._settings = settings
        self._bus = bus
        self._clock = clock
        self._real_clock = real_clock

    async def propose(self, market: Market, *, trigger: Trigger) -> Signal | None:
        """Return the signal as stored, or None when the model's answer was unusable.

        Raises: BoundaryError, when exchange, model or database did not answer, or when the model
            must not be asked now: a Retry-After holds, or the circuit is open.
        """
        # Checked before the exchange is asked: without a question its prices are not needed.
        model = await self._settings.get(AI_MODEL)
        self._model.check(model)
        self._circuit.check()
        snapshot = await self._snapshot(market)
        shown = facts(snapshot)
        call_id, answer = await self._ask(prompt(shown), model=model)
        if answer.proposal is None:
            # Not turned into HOLD: that would look like the model's judgement.
            logger.bind(event="signal", market=str(market), why=answer.why).warning(
                "the model's answer is unusable, no signal is made"
            )
            return None
        signal = await self._signals.add_signal(
            NewSignal(
                market=market,
                proposal=answer.proposal,
                model=answer.model,
                price=snapshot.ticker.price,
                market_data_id=await self._market_data.latest_id(market),
                call_id=call_id,
                facts=kept(shown),
                trigger=trigger,
                at=self._clock.now(),
            )
        )
        logger.bind(
            event="signal",
            market=str(market),
            signal_id=signal.id,
            action=signal.proposal.action.value,
            confidence=signal.proposal.confidence,
            model=signal.model,
            trigger=trigger,
        ).info("signal")
        await self._bus.publish(SignalMade(signal=signal))
        return signal

    async def _snapshot(self, market: Market) -> Snapshot:
        (ticker,) = await self._exchange.tickers([market])
        return Snapshot(
            market=market,
            at=self._clock.now(),
            ticker=ticker,
            position=await self._orders.position(market),
            short=await self._exchange.candles(market, SHORT[0], count=SHORT[1]),
            mid=await self._exchange.candles(market, MID[0], count=MID[1]),
            long=await self._long(market),
        )

    async def _long(self, market: Market) -> tuple[Candle, ...]:
        """Return the long series, in pages: it is longer than one answer of the exchange."""
        timeframe, wanted = LONG
        candles: tuple[Candle, ...] = ()
        while len(candles) < wanted:
            older = await self._exchange.candles(
                market,
                timeframe,
                count=min(wanted - len(candles), MAX_CANDLES),
                before=candles[0].opened_at if candles else None,
            )
            if not older:
                break  # the market is younger than the series
            candles = older + candles
        return candles

    async def _ask(self, question: Prompt, *, model: str) -> tuple[int, Answer]:
        """Return the answer and the id of its row; a failed call is stored as well."""
        started_at, began = self._clock.now(), self._real_clock.monotonic()

        def call(answer: Answer | None, error: BoundaryError | None) -> ModelCall:
            usable = answer is not None and answer.proposal is not None
            failed = (error.code or type(error).__name__) if error else None
            return ModelCall(
                model=model,
                purpose=PURPOSE,
                started_at=started_at,
                duration_ms=(self._real_clock.monotonic() - began) * 1000,
                outcome="error" if answer is None else "ok" if usable else "unusable",
                why=answer.why if answer else failed,
                answer=answer,
                cost_usd=None,
            )

        try:
            with self._circuit.call():
                answer = await self._model.ask(question, model=model)
        except BoundaryError as exc:
            # Not sent: a hold or an open circuit began after the check, and nothing was asked.
            if exc.sent:
                await self._record(call(None, exc))
            raise
        return await self._record(call(answer, None)), answer

    async def _record(self, call: ModelCall) -> int:
        if call.answer is not None:
            prices = await self._settings.get(PRICE_TABLE)
            day = korean_day(call.started_at)
            cost = cost_usd(call.answer.usage, model=call.model, day=day, prices=prices)
            call = replace(call, cost_usd=cost)
        usage = call.answer.usage if call.answer else Usage()
        line = logger.bind(
            event="ai",
            purpose=call.purpose,
            model=call.model,
            duration_ms=round(call.duration_ms, 3),
            outcome=call.outcome,
            why=call.why,
            **asdict(usage),
            cost_usd=call.cost_usd,
        )
        line.log("INFO" if call.outcome == "ok" else "WARNING", "model call")
        return await self._signals.add_call(call)
