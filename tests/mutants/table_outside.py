"""What the exchange and the model ask for is obeyed; what they say is checked."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_GEMINI: Final = "service/adapters/gemini.py"
_OF_GEMINI_FAULTS: Final = "tests/integration/adapters/test_gemini_faults.py"
_OF_UPBIT_FAULTS: Final = "tests/integration/adapters/test_upbit_faults.py"
_OF_CALLS: Final = "tests/integration/adapters/test_upbit_calls.py"
_OF_LIMITS: Final = "tests/unit/adapters/test_upbit_limits.py"
_LIMITS: Final = "service/adapters/upbit/limits.py"
_SHARED: Final = "service/flows/shared_answer.py"
_PROPOSE: Final = "service/flows/propose.py"
_OF_PROPOSE: Final = "tests/unit/flows/test_propose.py"
_OF_STREAM: Final = "tests/integration/sandbox/stream/test_connection.py"

OUTSIDE: Final = (
    Mutant(
        name="a Retry-After in seconds is not read",
        file="service/adapters/answers.py",
        old="    if _SECONDS.fullmatch(asked):\n",
        new="    if False:\n",
        tests=of(_OF_GEMINI_FAULTS, "test_an_outage_may_be_tried_again_when_the_service_says"),
    ),
    Mutant(
        name="a RetryInfo is not read",
        file="service/adapters/gemini_errors.py",
        old="        if is_retry_info and delay and delay[0]:",
        new="        if False:",
        tests=of(_OF_GEMINI_FAULTS, "test_an_outage_may_be_tried_again_when_the_service_says"),
    ),
    Mutant(
        name="the runner does not wait for as long as it is asked to",
        file="service/loops/waits.py",
        old="    return min(max(wish, 0.0), LONGEST_HOLD_S)\n",
        new="    return 0.0\n",
        tests=of(
            "tests/unit/loops/test_runner.py",
            "test_the_wait_the_server_asks_for_wins_when_it_is_longer",
        ),
    ),
    Mutant(
        name="a block by Upbit silences nobody",
        file="service/adapters/upbit/limits.py",
        old="        left = self._banned_until - self._real_clock.monotonic()\n",
        new="        left = 0.0\n",
        tests=of(_OF_UPBIT_FAULTS, "test_while_blocked_nothing_is_sent_until_the_block_ends"),
    ),
    Mutant(
        name="Upbit's limits are not kept to",
        file="service/adapters/upbit/limits.py",
        old=(
            "            self._check_hold(name)  # a hold may have begun during the pause\n"
            "        self._sent[name].append(self._real_clock.monotonic())\n"
        ),
        new="            self._check_hold(name)\n",
        tests=of(
            "tests/unit/adapters/test_upbit_limits.py", "test_a_group_waits_once_its_second_is_full"
        ),
    ),
    Mutant(
        name="a used-up daily quota is asked for again",
        file="service/adapters/gemini_errors.py",
        old='    if any("PerDay" in quota for quota in _quotas(details)):\n',
        new="    if False:\n",
        tests=of(_OF_GEMINI_FAULTS, "test_a_refusal_is_not_worth_another_try"),
    ),
    Mutant(
        name="the SDK retries by itself",
        file=_GEMINI,
        old="retry_options=types.HttpRetryOptions(attempts=1),",
        new="retry_options=types.HttpRetryOptions(attempts=2, initial_delay=0.01),",
        tests=of(
            _OF_GEMINI_FAULTS,
            "test_canary_one_question_is_one_request_even_when_the_connection_breaks",
        ),
    ),
    Mutant(
        name="a redirect takes prompt and key along",
        file=_GEMINI,
        old='"ssl": tls, "allow_redirects": False}',
        new='"ssl": tls}',
        tests=of(_OF_GEMINI_FAULTS, "test_a_redirect_does_not_carry_prompt_and_key_away"),
    ),
    Mutant(
        name="an unfinished answer is taken for a whole one",
        file="service/adapters/gemini_wire.py",
        old="    if finish is not types.FinishReason.STOP:\n",
        new="    if False:\n",
        tests=of("tests/integration/adapters/test_gemini_answers.py"),
    ),
    Mutant(
        name="confidence is not held to its range",
        file="service/adapters/gemini_wire.py",
        old="confidence: Annotated[float, Field(ge=0, le=1, strict=True)]",
        new="confidence: float",
        tests=of("tests/integration/adapters/test_gemini_answers.py"),
    ),
    Mutant(
        name="failures never open a circuit",
        file="service/domain/breaker.py",
        old="        if self.opened_at is None:\n            return 0.0\n",
        new="        if True:\n            return 0.0\n",
        tests=of("tests/unit/flows/test_circuit_breaker.py"),
    ),
    Mutant(
        name="the genai client's asynchronous half is never closed",
        file=_GEMINI,
        old="            await client.aio.aclose()\n",
        new="",
        tests=of(_OF_GEMINI_FAULTS, "test_every_half_of_the_sdks_client_is_closed"),
    ),
    Mutant(
        name="the genai client's synchronous half is never closed",
        file=_GEMINI,
        old="            client.close()\n",
        new="",
        tests=of(_OF_GEMINI_FAULTS, "test_every_half_of_the_sdks_client_is_closed"),
    ),
    Mutant(
        name="the prompt's history is cut to 36 candles",
        file=_PROPOSE,
        old="LONG: Final = (Timeframe.H1, 336)\n",
        new="LONG: Final = (Timeframe.H1, 36)\n",
        tests=of(_OF_PROPOSE, "test_the_prompt_has_fourteen_days_one_day_and_one_hour_of_prices"),
    ),
    Mutant(
        name="a bad answer makes a HOLD",
        file=_PROPOSE,
        old="            return None\n        signal = await self._signals.add_signal(\n",
        new=(
            "            from dataclasses import replace\n"
            "            from service.domain.signals import Action, Proposal\n"
            "            nothing = {'confidence': snapshot.ticker.price * 0, 'reasoning': '-'}\n"
            "            silent = Proposal(action=Action.HOLD, **nothing)\n"
            "            answer = replace(answer, proposal=silent)\n"
            "        signal = await self._signals.add_signal(\n"
        ),
        tests=of(
            "tests/unit/flows/test_trade.py", "test_an_unusable_answer_makes_no_signal_and_says_so"
        ),
    ),
    Mutant(
        name="what only looks may use a whole limit",
        file=_LIMITS,
        old='    Share.WATCHING: Decimal("0.5"),\n',
        new="    Share.WATCHING: Decimal(0),\n",
        tests=of(_OF_CALLS, "test_what_only_looks_leaves_half_of_a_limit"),
    ),
    Mutant(
        name="a purchase may use what is left for sales",
        file=_LIMITS,
        old='    Share.TRADING: Decimal("0.1"),\n',
        new="    Share.TRADING: Decimal(0),\n",
        tests=of(_OF_CALLS, "test_a_sale_goes_where_purchases_have_used_up_their_part"),
    ),
    Mutant(
        name="a sale has no more of a limit than a purchase",
        file="service/adapters/upbit/rest.py",
        old="share=Share.WHOLE if intent.side is Side.SELL else Share.TRADING,",
        new="share=Share.TRADING,",
        tests=of(_OF_CALLS, "test_a_sale_goes_where_purchases_have_used_up_their_part"),
    ),
    Mutant(
        name="a cancel has no more of a limit than a question",
        file="service/adapters/upbit/client.py",
        old="            Group.DEFAULT,\n            Share.WHOLE,\n",
        new="            Group.DEFAULT,\n            self._share,\n",
        tests=of(_OF_CALLS, "test_a_cancel_goes_where_questions_have_used_up_their_part"),
    ),
    Mutant(
        name="a group's name in an answer is not learnt",
        file=_LIMITS,
        old="        self._learnt[endpoint] = name\n",
        new="",
        tests=of(_OF_LIMITS, "test_endpoints_that_answers_put_into_one_group_rest_together"),
    ),
    Mutant(
        name="what only looks uses trading's connections",
        file="service/app/resources.py",
        old="watching=upbit.watching(watching)",
        new="watching=upbit.watching(session)",
        tests=of(
            "tests/integration/app/test_resources.py",
            "test_trading_shares_its_limits_but_no_connection_with_what_only_looks",
        ),
    ),
    Mutant(
        name="each reader repeats a question that failed",
        file=_SHARED,
        old="            if self._is_fresh(self._failure):\n",
        new="            if False:\n",
        tests=of("tests/unit/flows/test_shared_answer.py"),
    ),
    Mutant(
        name="a stream reader that does not keep up is kept",
        file="service/sandbox/stream/connection.py",
        old="        if self.queued_bytes + len(frame) > MOST_QUEUED:\n",
        new="        if False:\n",
        tests=of(_OF_STREAM, "test_a_slow_reader_is_cut_off_and_delays_no_other"),
    ),
    Mutant(
        name="a price script changes what has been shown",
        file="service/sandbox/market/scripted.py",
        old="_Script(first=after + 1,",
        new="_Script(first=after,",
        tests=of(
            "tests/unit/sandbox/market/test_scripted.py",
            "test_a_path_is_printed_a_step_a_price_and_the_last_one_stays",
        ),
    ),
    Mutant(
        name="orders are cancelled in a list that lags",
        file="service/sandbox/upbit_api/private.py",
        old='    if request.method == "GET":\n',
        new="    if True:\n",
        tests=of(
            "tests/integration/sandbox/test_list_lag.py",
            "test_a_cancellation_of_several_works_on_the_present",
        ),
    ),
)
