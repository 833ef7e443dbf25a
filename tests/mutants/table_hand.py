"""Orders by hand: one order for one key, nothing rounded, each cancel followed to its end."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_MANUAL: Final = "service/flows/manual_orders.py"
_CANCELS: Final = "service/flows/order_cancels.py"
_RISK: Final = "service/domain/risk/decide.py"
_DECIDE: Final = "service/flows/decide.py"
_PG_ORDERS: Final = "service/store/tables/orders.py"
_PG_REQUESTS: Final = "service/store/tables/order_requests.py"
_HANDLERS: Final = "service/web/api/manual_orders.py"
_SHARED: Final = "service/flows/shared_answer.py"
_NOT_PLACED: Final = "service/flows/not_placed.py"
_OF_NOT_PLACED: Final = "tests/unit/flows/test_not_placed.py"
_OF_MANUAL: Final = "tests/unit/flows/test_manual_orders.py"
_OF_CANCELS: Final = "tests/unit/flows/test_order_cancels.py"
_OF_RISK: Final = "tests/unit/domain/test_risk.py"
_OF_HANDLERS: Final = "tests/unit/web/api/test_manual_orders.py"
_OF_CONTRACT: Final = "tests/integration/store/test_contract.py"

HAND: Final = (
    Mutant(
        name="a repeated request by hand makes a second order",
        file=_MANUAL,
        old="            if earlier is not None:\n                return earlier\n",
        new="",
        tests=of(_OF_MANUAL, "test_an_order_of_unknown_outcome_is_the_keys_order"),
    ),
    Mutant(
        name="requests by hand are judged beside each other",
        file=_MANUAL,
        old="        async with self._deciding:\n",
        new="        if True:\n",
        tests=of(_OF_MANUAL, "test_two_verdicts_at_once_count_each_others_orders"),
    ),
    Mutant(
        name="a key answers an order of another body",
        file=_MANUAL,
        old="        if found.intent != intent:\n",
        new="        if found.intent.market != intent.market:\n",
        tests=of(_OF_MANUAL, "test_the_same_key_with_another_body_is_refused"),
    ),
    Mutant(
        name="a refusal by hand leaves no risk event",
        file=_MANUAL,
        old="""                await self._requests.add_refusal(
                    intent, refused=verdict, actor=actor, at=self._clock.now()
                )
""",
        new="",
        tests=of(
            _OF_MANUAL, "test_each_refusal_before_the_insert_is_one_risk_event_with_its_caller"
        ),
    ),
    Mutant(
        name="a refusal by the insert hides its caller",
        file=_PG_ORDERS,
        old='            "actor": actor or (BY_SERVICE if breach is None else BY_RULE),\n',
        new='            "actor": BY_SERVICE,\n',
        tests=of(
            "tests/integration/store/tables/test_orders.py",
            "test_a_refusal_by_the_hours_limit_has_caller_limit_and_number",
        ),
    ),
    Mutant(
        name="the key is not stored with its order",
        file=_PG_ORDERS,
        old='            "idempotency_key": idempotency_key,\n',
        new='            "idempotency_key": None,\n',
        tests=of(_OF_CONTRACT, "test_a_key_is_one_orders_for_ever_and_finds_it"),
    ),
    Mutant(
        name="an order by hand passes as a signal's",
        file=_MANUAL,
        old="                    source=OrderSource.HAND,\n",
        new="",
        tests=of(
            "tests/integration/app/test_orders_by_hand.py",
            "test_a_halted_purchase_is_409_and_a_sale_of_what_is_held_goes_through",
        ),
    ),
    Mutant(
        name="an order by hand is cut to what the rules allow",
        file=_RISK,
        old="        if found.passed and found.draft.amount < draft.amount:\n",
        new="        if False:\n",
        tests=of(_OF_RISK, "test_each_rule_refuses_an_order_by_hand_in_its_own_name"),
    ),
    Mutant(
        name="coins that this service does not hold are sold by hand",
        file="service/domain/risk/size_rules.py",
        old="if draft.amount > now.position.volume:",
        new="if False:",
        tests=of(_OF_RISK, "test_each_rule_refuses_an_order_by_hand_in_its_own_name"),
    ),
    Mutant(
        name="a limit price off the tick is sent",
        file=_DECIDE,
        old="    if intent.price % tick:\n",
        new="    if False:\n",
        tests=of(_OF_MANUAL, "test_a_price_off_the_tick_is_named_and_not_rounded"),
    ),
    Mutant(
        name="an order by hand needs no key",
        file=_HANDLERS,
        old="    if len(keys) == 1 and _KEY.fullmatch(keys[0]):\n        return keys[0]\n",
        new='    if True:\n        return keys[0] if keys else "none"\n',
        tests=of(_OF_HANDLERS, "test_an_order_needs_a_key"),
    ),
    Mutant(
        name="a cancel that got lost is not asked for again",
        file=_CANCELS,
        old="            if order.id in requested:\n",
        new="            if False:\n",
        tests=of(_OF_CANCELS, "test_a_cancel_that_got_lost_is_asked_for_again"),
    ),
    Mutant(
        name="a requested cancel is not stored",
        file=_PG_REQUESTS,
        old="           SET cancel_requested_at = %(at)s,\n               cancel_requested_by",
        new="           SET cancel_requested_at = NULL,\n               cancel_requested_by",
        tests=of(_OF_CONTRACT, "test_a_requested_cancel_stands_until_the_order_is_final"),
    ),
    Mutant(
        name="a cancelled order is not looked up",
        file=_CANCELS,
        old="            await self._reconciler.settle(order)\n",
        new="            pass\n",
        tests=of(_OF_CANCELS, "test_a_fill_that_crosses_the_cancel_is_booked"),
    ),
    Mutant(
        name="a limit order stays however old it is",
        file=_CANCELS,
        old="return order.intent.type.rests and self._clock.now() - order.created_at >= age",
        new="return False",
        tests=of(_OF_CANCELS, "test_a_limit_order_is_cancelled_at_its_age_and_not_before"),
    ),
    Mutant(
        name="each reader asks the exchange for its orders",
        file=_SHARED,
        old="            if answer is None or not self._is_fresh(answer):\n",
        new="            if True:\n",
        tests=of("tests/unit/flows/test_shared_answer.py"),
    ),
    Mutant(
        name="an operator's word counts without a look-up",
        file=_NOT_PLACED,
        old="is_known or await self._exchange.find(order.identifier) is not None\n",
        new="is_known\n",
        tests=of(_OF_NOT_PLACED, "test_an_order_of_which_only_the_look_up_knows_is_settled"),
    ),
    Mutant(
        name="an operator's word counts against the exchange's lists",
        file=_NOT_PLACED,
        old="is_known = await self._account_book.is_listed(order)\n",
        new="is_known = False\n",
        tests=of(_OF_NOT_PLACED, "test_an_order_that_only_a_list_shows_is_not_ended"),
    ),
    Mutant(
        name="an operator's word ends an order that is still on its way",
        file=_NOT_PLACED,
        old="self._clock.now() - order.created_at < YOUNGEST:\n",
        new="self._clock.now() < order.created_at:\n",
        tests=of(_OF_NOT_PLACED, "test_an_order_younger_than_five_minutes_may_still_arrive"),
    ),
    Mutant(
        name="an operator's word ends an order that the exchange has accepted",
        file=_NOT_PLACED,
        old="        if order.is_acknowledged:\n",
        new="        if False:\n",
        tests=of(_OF_NOT_PLACED, "test_an_order_that_the_exchange_accepted_once_is_not_ended"),
    ),
    Mutant(
        name="a standby ends orders by an operator's word",
        file=_NOT_PLACED,
        old="        self._leadership.check()\n        order = await",
        new="        order = await",
        tests=of(_OF_NOT_PLACED, "test_a_process_that_does_not_trade_asks_and_ends_nothing"),
    ),
    Mutant(
        name="an operator's word counts under a lease that was lost meanwhile",
        file=_NOT_PLACED,
        old="        # The lease may have been lost while the exchange was asked.\n"
        "        self._leadership.check()\n",
        new="",
        tests=of(
            _OF_NOT_PLACED, "test_a_lease_that_is_lost_while_the_exchange_answers_ends_nothing"
        ),
    ),
)
