"""Asks the models of the settings in their order, until one answers. ADR 0037 says when."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Final

from loguru import logger

from service.domain.days import korean_day
from service.domain.errors import (
    BoundaryError,
    ModelBudgetUsedUp,
    ModelQuotaUsedUp,
    ModelRefused,
    ModelUnavailable,
    ModelUnpriced,
)
from service.domain.model_budget import Reservation, booked_usd
from service.domain.pricing import cost_usd
from service.domain.signals import Answer, Usage
from service.flows.circuit_breaker import ModelCircuits
from service.flows.model_budget import ModelBudget, booked_after
from service.ports.clock import MarketClock, RealClock
from service.ports.model import Model, Prompt
from service.ports.store import ModelCall, Signals
from service.settings.settings import Settings
from service.settings.table import AI_FALLBACK_MODELS, AI_MODEL, PRICE_TABLE

PURPOSE: Final = "signal"
#: Failed calls in a row before the next model is asked: the first one and two retries of the job.
FAILURES_BEFORE_NEXT: Final = 3
#: Real seconds after which no further model is asked; the job tries again.
NEXT_WITHIN_S: Final = 45.0


class FallbackModels:
    """One question to `ai_model`, and to each of `ai_fallback_models` that it needs.

    Every call has its worst case reserved first and leaves a row, a failed one too.
    """

    def __init__(
        self,
        *,
        model: Model,
        budget: ModelBudget,
        signals: Signals,
        settings: Settings,
        clock: MarketClock,
        real_clock: RealClock,
        circuits: ModelCircuits,
    ) -> None:
        self._model = model
        self._budget = budget
        self._signals = signals
        self._settings = settings
        self._clock = clock
        self._real_clock = real_clock
        self._circuits = circuits
        self._failures: Counter[str] = Counter()

    async def check(self) -> None:
        """Raise what `ask` would raise, when no model may be asked now; nothing is sent.

        The budget is not looked at: the price of a question is known once it is written.
        """
        refusals: list[BoundaryError] = []
        for model in await self._models():
            try:
                self._model.check(model)
                self._circuits.of(model).check()
            except BoundaryError as exc:
                refusals.append(exc)
            else:
                return
        raise _most_useful(refusals)

    async def ask(self, question: Prompt) -> tuple[int, Answer]:
        """Return the id of the call's row, and the answer of the first model that gives one.

        An unusable answer is an answer: it was paid for, and no other model is asked.

        Raises: BoundaryError, of the model that says most about when to ask again.
        """
        began = self._real_clock.monotonic()
        refusals: list[BoundaryError] = []
        models = await self._models()
        for model, following in zip(models, (*models[1:], None), strict=True):
            try:
                return await self._ask(question, model=model)
            except (ModelRefused, ModelUnavailable) as exc:
                refusals.append(exc)
                is_late = self._real_clock.monotonic() - began > NEXT_WITHIN_S
                if following is None or is_late or not self._is_next_due(model, exc):
                    break
                logger.bind(
                    event="ai", model=model, next=following, why=exc.code, error=type(exc).__name__
                ).warning("the model cannot answer, the next one is asked")
        error = _most_useful(refusals)
        if isinstance(error, ModelBudgetUsedUp):
            self._budget.tell_used_up()
        raise error

    async def _models(self) -> Sequence[str]:
        first = await self._settings.get(AI_MODEL)
        others = await self._settings.get(AI_FALLBACK_MODELS)
        models = tuple(dict.fromkeys((first, *others)))
        self._circuits.keep(models)
        return models

    def _is_next_due(self, model: str, error: BoundaryError) -> bool:
        """Whether the error concerns `model` itself, so that another one may answer.

        A rejected key or request would be rejected for every model.
        """
        match error:
            case ModelQuotaUsedUp() | ModelBudgetUsedUp() | ModelUnpriced():
                return True
            case ModelRefused():
                return error.code == "unknown_model"
            case _:
                is_told_to_wait = error.retry_after_s is not None  # a 429, a hold, an open circuit
                return is_told_to_wait or self._failures[model] >= FAILURES_BEFORE_NEXT

    async def _ask(self, question: Prompt, *, model: str) -> tuple[int, Answer]:
        """Raises: the error of a call that failed, after its row is stored."""
        self._model.check(model)
        self._circuits.of(model).check()
        reservation = await self._budget.reserve(model, self._model.most_tokens(question))
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
                reservation=reservation,
            )

        try:
            with self._circuits.of(model).call():
                answer = await self._model.ask(question, model=model)
        except BoundaryError as exc:
            # Not sent: a hold or an open circuit began after the check, and nothing was asked.
            if not exc.sent:
                await self._budget.give_back(reservation)
                raise
            self._failures[model] += 1
            await self._record(_booked(call(None, exc), exc, reservation))
            raise
        self._failures.pop(model, None)
        return await self._record(await self._priced(call(answer, None), started_at)), answer

    async def _priced(self, call: ModelCall, started_at: datetime) -> ModelCall:
        """Return `call` with its cost, and with what the budget is charged for it."""
        prices = await self._settings.get(PRICE_TABLE)
        usage = call.answer.usage if call.answer else Usage()
        cost = cost_usd(usage, model=call.model, day=korean_day(started_at), prices=prices)
        call = replace(call, cost_usd=cost)
        if call.reservation is None:
            return call
        booked = booked_usd(call.reservation, cost_usd=cost, usage=usage)
        if booked > call.reservation.usd:
            logger.bind(event="ai", model=call.model).warning(
                "a model call cost more than its worst case; the day is charged with all of it"
            )
        return replace(call, booked_usd=booked)

    async def _record(self, call: ModelCall) -> int:
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


def _booked(call: ModelCall, error: BoundaryError, reservation: Reservation | None) -> ModelCall:
    if reservation is None:
        return call
    return replace(call, booked_usd=booked_after(error, reservation))


def _most_useful(refusals: Sequence[BoundaryError]) -> BoundaryError:
    """Return the first error after which a retry may help, else the first of all."""
    return next((error for error in refusals if error.retryable), refusals[0])
