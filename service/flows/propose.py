"""Ask the model about one market and store its proposal as a signal."""

from datetime import timedelta
from typing import Final

from loguru import logger

from service.bus import Bus, SignalMade
from service.domain.markets import Candle, CandlePage, Market, Timeframe
from service.domain.signals import Signal, Trigger
from service.flows.collect_candles import MAX_CANDLES
from service.flows.fallback_models import FallbackModels
from service.flows.prompt import Snapshot, facts, kept, prompt
from service.ports.clock import MarketClock
from service.ports.exchange import Exchange
from service.ports.store import MarketData, NewSignal, Orders, Signals

#: timeframe and number of candles, about 450 points: a prompt of some 4,000 tokens
LONG: Final = (Timeframe.H1, 336)
MID: Final = (Timeframe.M15, 96)
SHORT: Final = (Timeframe.M5, 12)
_AHEAD: Final = timedelta(minutes=1)  #: by which the exchange's clock may be ahead of ours


class Proposer:
    """Takes a snapshot, makes the prompt, asks the model and stores the signal of one market."""

    def __init__(
        self,
        *,
        exchange: Exchange,
        models: FallbackModels,
        market_data: MarketData,
        signals: Signals,
        orders: Orders,
        bus: Bus,
        clock: MarketClock,
    ) -> None:
        self._exchange = exchange
        self._models = models
        self._market_data = market_data
        self._signals = signals
        self._orders = orders
        self._bus = bus
        self._clock = clock

    async def propose(self, market: Market, *, trigger: Trigger) -> Signal | None:
        """Return the signal as stored, or None when the model's answer was unusable.

        Raises: BoundaryError, when exchange, model or database did not answer, or when the model
            must not be asked now: a Retry-After holds, the circuit is open, or the budget is used.
        """
        # Checked before the exchange is asked: without a question its prices are not needed.
        await self._models.check()
        snapshot = await self._snapshot(market)
        shown = facts(snapshot)
        call_id, answer = await self._models.ask(prompt(shown))
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
            short=await self._candles(market, *SHORT),
            mid=await self._candles(market, *MID),
            long=await self._long(market),
        )

    async def _candles(self, market: Market, timeframe: Timeframe, count: int) -> CandlePage:
        # An end that we name leaves a candle out that is dated later: the model must not see it.
        before = self._clock.now() + _AHEAD
        return await self._exchange.candles(market, timeframe, count=count, before=before)

    async def _long(self, market: Market) -> tuple[Candle, ...]:
        """Return the long series, in pages: it is longer than one answer of the exchange."""
        timeframe, wanted = LONG
        candles: tuple[Candle, ...] = ()
        while len(candles) < wanted:
            older = await self._exchange.candles(
                market,
                timeframe,
                count=min(wanted - len(candles), MAX_CANDLES),
                before=candles[0].opened_at if candles else self._clock.now() + _AHEAD,
            )
            if not older:
                break  # the market is younger than the series
            candles = older + candles
        return candles
