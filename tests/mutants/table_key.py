"""A key, an address or a right that the exchange rejects halts purchases, and nothing else does."""

from typing import Final

from tests.mutants.mutant import Mutant, of

KEY: Final = (
    Mutant(
        name="one refusal of the key halts purchases",
        file="service/flows/key_guard.py",
        old="REFUSALS: Final = 2\n",
        new="REFUSALS: Final = 1\n",
        tests=of("tests/unit/flows/test_key_guard.py", "test_one_refusal_may_be_chance"),
    ),
    Mutant(
        name="two refusals of the key a day apart halt purchases",
        file="service/flows/key_guard.py",
        old=" and now - scope.refused_at[0] <= WITHIN_S:\n",
        new=":\n",
        tests=of("tests/unit/flows/test_key_guard.py", "test_one_refusal_may_be_chance"),
    ),
    Mutant(
        name="a rejected key halts nothing",
        file="service/flows/key_guard.py",
        old="            scope.is_due = True\n",
        new="            pass\n",
        tests=of(
            "tests/unit/flows/test_key_guard.py",
            "test_a_rejected_key_halts_purchases_once_and_says_why",
        ),
    ),
    Mutant(
        name="one accepted request in between ends the halt of a rejected key",
        file="service/flows/key_guard.py",
        old=">= RESUME_AFTER_S\n",
        new=">= 0\n",
        tests=of(
            "tests/unit/flows/test_key_guard.py",
            "test_an_endpoint_that_is_accepted_in_between_does_not_end_the_halt",
        ),
    ),
    Mutant(
        name="silence ends the halt of a rejected key",
        file="service/flows/key_guard.py",
        old="        if scope is None or not scope.accepted:\n",
        new="        if scope is None:\n",
        tests=of("tests/unit/flows/test_key_guard.py", "test_silence_is_no_acceptance"),
    ),
    Mutant(
        name="a request of another kind gives a right back",
        file="service/flows/key_guard.py",
        old="            for name in (_EVERY_REQUEST, answer.endpoint):\n",
        new="            for name in (*self._scopes, _EVERY_REQUEST, answer.endpoint):\n",
        tests=of(
            "tests/unit/flows/test_key_guard.py",
            "test_a_refused_right_ends_with_an_accepted_request_of_its_own",
        ),
    ),
    Mutant(
        name="a standby halts for its key",
        file="service/flows/key_guard.py",
        old="        if not self._leads():\n",
        new="        if False:\n",
        tests=of(
            "tests/unit/flows/test_key_guard.py",
            "test_a_process_that_does_not_trade_neither_halts_nor_resumes",
        ),
    ),
    Mutant(
        name="a used nonce is a rejected key",
        file="service/adapters/upbit/key_meter.py",
        old='    {"nonce_used", ',
        new="    {",
        tests=of(
            "tests/integration/flows/test_key_guard.py",
            "test_an_answer_that_says_nothing_about_the_key_is_none_of_its",
        ),
    ),
    Mutant(
        name="a firewall's 403 is not heard",
        file="service/adapters/upbit/key_meter.py",
        old="        None,  # without",
        new="        # without",
        tests=of(
            "tests/integration/flows/test_key_guard.py",
            "test_a_rejected_key_or_address_stops_purchases_until_it_is_accepted",
        ),
    ),
    Mutant(
        name="a rejected key has no alert of its own",
        file="service/flows/alerts/rules.py",
        old="        return (halted, *_key_notices(event))\n",
        new="        return (halted,)\n",
        tests=of(
            "tests/integration/flows/test_key_guard.py",
            "test_a_rejected_key_or_address_stops_purchases_until_it_is_accepted",
        ),
    ),
    Mutant(
        name="the alert of a rejected key never ends",
        file="service/flows/alerts/rules.py",
        old="    return (*ended, *_key_notices(event))\n",
        new="    return ended\n",
        tests=of(
            "tests/integration/flows/test_key_guard.py",
            "test_an_operators_end_of_the_halt_ends_its_alert",
        ),
    ),
    Mutant(
        name="no loop judges whether the key is rejected",
        file="service/app/self_check.py",
        old="        await self._key_guard.look(self._account.take_key_answers())\n",
        new="        self._account.take_key_answers()\n",
        tests=of(
            "tests/unit/app/test_self_check.py",
            "test_answers_that_reject_the_key_halt_purchases_without_a_request",
        ),
    ),
)
