"""No model call passes the day's budget, and another model answers only where one cannot."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_SPENDING: Final = "service/store/tables/model_spending.py"
_OF_SPENDING: Final = "tests/integration/store/tables/test_model_spending.py"
_MODELS: Final = "service/flows/fallback_models.py"
_BUDGET: Final = "service/flows/model_budget.py"
_OF_BUDGET: Final = "tests/unit/flows/test_model_budget.py"
_OF_FALLBACKS: Final = "tests/unit/flows/test_fallback_models.py"
_RESPONSE: Final = "service/adapters/gemini_response.py"
_OF_RESPONSE: Final = "tests/integration/adapters/test_gemini_long_answers.py"

MODEL: Final = (
    Mutant(
        name="an answer of the model is read however long it is",
        file=_RESPONSE,
        old="                if len(raw) > LONGEST_BODY:\n",
        new="                if False:\n",
        tests=of(_OF_RESPONSE),
    ),
    Mutant(
        name="the connection of an answer that is too long is used again",
        file=_RESPONSE,
        old="                self.close()\n                if self.status",
        new="                if self.status",
        tests=of(_OF_RESPONSE),
    ),
    Mutant(
        name="a failure of the model with a long body loses its wait",
        file=_RESPONSE,
        old="                if self.status == HTTPStatus.OK:\n",
        new="                if True:\n",
        tests=of(
            _OF_RESPONSE, "test_a_failure_with_an_endless_body_keeps_its_meaning_and_its_wait"
        ),
    ),
    Mutant(
        name="the model's budget is not compared",
        file=_SPENDING,
        old="        OR ai_spending.used_usd + ai_spending.reserved_usd + excluded.reserved_usd\n",
        new="        OR 0\n",
        tests=of(_OF_SPENDING),
    ),
    Mutant(
        name="a day's first call is not held against the budget",
        file=_SPENDING,
        old="        OR %(usd)s <= %(budget_usd)s::numeric\n",
        new="        OR true\n",
        tests=of(_OF_SPENDING),
    ),
    Mutant(
        name="calls under way do not count against the budget",
        file=_SPENDING,
        old="ai_spending.used_usd + ai_spending.reserved_usd + excluded",
        new="ai_spending.used_usd + excluded",
        tests=of(_OF_SPENDING),
    ),
    Mutant(
        name="a call's row leaves its reservation standing",
        file="service/store/tables/signals.py",
        old="reserved_usd = greatest(reserved_usd - %(reserved_usd)s::numeric, 0)",
        new="reserved_usd = reserved_usd",
        tests=of(_OF_SPENDING),
    ),
    Mutant(
        name="a call's row does not book its cost",
        file="service/store/tables/signals.py",
        old="used_usd = used_usd + %(booked_usd)s",
        new="used_usd = used_usd + 0 * %(booked_usd)s",
        tests=of(_OF_SPENDING),
    ),
    Mutant(
        name="nothing is reserved before the model is asked",
        file=_MODELS,
        old="await self._budget.reserve(model, self._model.most_tokens(question))",
        new="None",
        tests=of(_OF_BUDGET),
    ),
    Mutant(
        name="a lost answer is booked as free",
        file=_BUDGET,
        old="    return Decimal(0) if is_free else reservation.usd\n",
        new="    return Decimal(0)\n",
        tests=of(_OF_BUDGET),
    ),
    Mutant(
        name="an answer without counts is booked as free",
        file="service/domain/model_budget.py",
        old="        return reservation.usd\n",
        new="        return Decimal(0)\n",
        tests=of(_OF_BUDGET),
    ),
    Mutant(
        name="a model without a price is asked within a budget",
        file=_BUDGET,
        old="            if budget_usd is None:\n                return None\n",
        new="            return None\n",
        tests=of(_OF_BUDGET),
    ),
    Mutant(
        name="a call that was not sent keeps its reservation",
        file=_MODELS,
        old="                await self._budget.give_back(reservation)\n",
        new="                pass\n",
        tests=of(_OF_BUDGET),
    ),
    Mutant(
        name="thoughts and answer are not in the worst case",
        file="service/adapters/gemini_wire.py",
        old="output_tokens=MAX_OUTPUT_TOKENS)",
        new="output_tokens=0)",
        tests=of("tests/integration/adapters/test_gemini_answers.py"),
    ),
    Mutant(
        name="a used-up budget fails the pass",
        file="service/flows/all_markets.py",
        old="            except ModelBudgetUsedUp:\n",
        new="            except NotImplementedError:\n",
        tests=of(_OF_BUDGET),
    ),
    Mutant(
        name="a rejected key is tried with every model",
        file=_MODELS,
        old='                return error.code == "unknown_model"\n',
        new="                return True\n",
        tests=of(_OF_FALLBACKS),
    ),
    Mutant(
        name="an overloaded model has no retries",
        file=_MODELS,
        old="FAILURES_BEFORE_NEXT: Final = 3\n",
        new="FAILURES_BEFORE_NEXT: Final = 1\n",
        tests=of(_OF_FALLBACKS),
    ),
    Mutant(
        name="models that hang are asked one after the other",
        file=_MODELS,
        old=" or is_late or not self._is_next_due(model, exc):\n",
        new=" or not self._is_next_due(model, exc):\n",
        tests=of(_OF_FALLBACKS),
    ),
    Mutant(
        name="one circuit stands before all models",
        file="service/flows/circuit_breaker.py",
        old="        if model not in self._each:\n",
        new='        model = "any"\n        if model not in self._each:\n',
        tests=of(_OF_FALLBACKS),
    ),
    Mutant(
        name="a disk that fills up is told nobody",
        file="service/ops/metrics/machine.py",
        old="        self._tell_disk(reading.disk_used_pct)\n",
        new="",
        tests=of("tests/unit/ops/metrics/test_machine.py"),
    ),
)
