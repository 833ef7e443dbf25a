"""An order is written before it is sent, sent once, and booked once."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_EXECUTE: Final = "service/flows/execute.py"
_RECONCILE: Final = "service/flows/reconcile.py"
_TRADE: Final = "service/flows/trade.py"
_LEADERSHIP: Final = "service/flows/leadership.py"
_PG_ORDERS: Final = "service/store/tables/orders.py"
_UPBIT_ERRORS: Final = "service/adapters/upbit/errors.py"
_OF_EXECUTE: Final = "tests/unit/flows/test_execute.py"
_OF_STALE: Final = "tests/unit/flows/test_stale_decisions.py"
_OF_PG_ORDERS: Final = "tests/integration/store/tables/test_orders.py"
_OF_CONTRACT: Final = "tests/integration/store/test_contract.py"
_OF_UPBIT_FAULTS: Final = "tests/integration/adapters/test_upbit_faults.py"

_UPBIT_CLIENT: Final = "service/adapters/upbit/client.py"
_OF_SENDING: Final = of(
    "tests/integration/adapters/test_upbit_send.py",
    "test_what_happens_while_it_connects_keeps_an_order_from_leaving",
    "test_an_order_that_waited_five_seconds_for_its_rate_limit_does_not_leave",
)

ORDERS: Final = (
    Mutant(
        name="an order is sent before its row is written",
        file=_EXECUTE,
        old="            order, written_from = await self._write(\n",
        new=(
            "            await self._exchange.submit(intent, identifier=identifier)\n"
            "            order, written_from = await self._write(\n"
        ),
        tests=of(_OF_EXECUTE, "test_nothing_is_sent_when_the_row_cannot_be_written"),
    ),
    Mutant(
        name="an order of unknown outcome is sent again",
        file=_EXECUTE,
        old="            return await self._reconciler.unknown(order)\n",
        new=(
            "            await self._exchange.submit(order.intent, identifier=order.identifier)\n"
            "            return await self._reconciler.unknown(order)\n"
        ),
        tests=of(_OF_EXECUTE, "test_an_unknown_outcome_is_looked_up_and_never_sent_again"),
    ),
    Mutant(
        name="an order of unknown outcome counts as never sent",
        file=_EXECUTE,
        old="            return await self._reconciler.unknown(order)\n",
        new="            return await self._reconciler.unsent(order)\n",
        tests=of(_OF_EXECUTE, "test_an_unknown_outcome_is_looked_up_and_never_sent_again"),
    ),
    Mutant(
        name="the lease is not looked at before the request",
        file=_EXECUTE,
        old="        if not self._leadership.holds(epoch):\n",
        new="        if False:\n",
        tests=of(_OF_STALE, "test_a_process_whose_lease_was_lost_while_it_wrote_sends_nothing"),
    ),
    Mutant(
        name="an order is written although Upbit asked for none",
        file=_EXECUTE,
        old="        self._exchange.check_orders()\n",
        new="",
        tests=of(
            "tests/unit/flows/test_holds.py",
            "test_a_sale_that_meets_a_hold_of_orders_is_made_when_the_hold_is_over",
        ),
    ),
    Mutant(
        name="an order is sent however long after its verdict",
        file=_EXECUTE,
        old="if self._real_clock.monotonic() - written_from > SEND_WITHIN_S:",
        new="if False:",
        tests=of(_OF_STALE, "test_a_request_that_would_leave_late_is_not_sent"),
    ),
    Mutant(
        name="the reconciler looks for an order whose request is on its way",
        file=_EXECUTE,
        old="        self._reconciler.take(identifier)\n",
        new="",
        tests=of(
            _OF_EXECUTE, "test_a_fresh_order_is_followed_by_one_and_not_raced_by_the_job_it_wakes"
        ),
    ),
    Mutant(
        name="a new leader trades before the past is settled",
        file=_LEADERSHIP,
        old="self._epoch, self._settled = epoch, False",
        new="self._epoch, self._settled = epoch, True",
        tests=of(
            "tests/unit/flows/test_leadership.py",
            "test_the_lease_is_kept_while_thousands_of_orders_are_looked_up",
        ),
    ),
    Mutant(
        name="orders settled under a lost lease count for the next one",
        file=_LEADERSHIP,
        old="        if self._epoch == epoch:\n",
        new="        if self._epoch is not None:\n",
        tests=of(
            "tests/unit/flows/test_leadership.py",
            "test_orders_settled_under_a_lost_lease_are_settled_again",
        ),
    ),
    Mutant(
        name="the lease is not renewed while the past is settled",
        file=_LEADERSHIP,
        old='            crashpoint("leader.epoch_bumped")\n',
        new='            crashpoint("leader.epoch_bumped")\n        await self.settle()\n',
        tests=of("tests/unit/flows/test_leadership.py"),
    ),
    Mutant(
        name="a text of the exchange may hold what cannot be stored",
        file="service/adapters/upbit/record.py",
        old="if len(value) > LONGEST_TEXT or not value.isprintable():",
        new="if len(value) > LONGEST_TEXT:",
        tests=of(
            "tests/unit/adapters/test_upbit_wire.py",
            "test_a_trade_whose_uuid_cannot_be_stored_is_odd",
        ),
    ),
    Mutant(
        name="a lease is trusted to its last second",
        file=_LEADERSHIP,
        old="self._held_until = asked_at + LEASE_TTL_S - _MARGIN_S",
        new="self._held_until = asked_at + LEASE_TTL_S",
        tests=of(_OF_EXECUTE, "test_a_stale_lease_is_not_trusted_to_its_last_second"),
    ),
    Mutant(
        name="a pass tried again asks the model again",
        file=_TRADE,
        old="            self._unfinished[progress.signal.market] = progress\n",
        new="",
        tests=of(
            "tests/unit/flows/test_trade.py",
            "test_a_pass_tried_again_asks_the_model_no_second_time",
        ),
    ),
    Mutant(
        name="an allowed order is sent later without being judged again",
        file=_TRADE,
        old="return await self._decider.review(progress.signal, progress.decision)",
        new="return progress.decision.verdict",
        tests=of(_OF_STALE, "test_an_allowed_order_is_not_sent_once_trading_was_switched_off"),
    ),
    Mutant(
        name="an allowed order that the rules refuse by now leaves no lapse",
        file="service/flows/decide.py",
        old="                decision.id,\n                market=signal.market,\n",
        new="                0,\n                market=signal.market,\n",
        tests=of(_OF_STALE, "test_an_allowed_order_is_not_sent_once_trading_was_switched_off"),
    ),
    Mutant(
        name="an allowed order of a lost lease leaves no lapse",
        file=_TRADE,
        old="                reason=LEASE_LOST,\n",
        new="                reason='',\n",
        tests=of(
            _OF_STALE, "test_a_lease_lost_after_the_decision_ends_the_signal_without_an_order"
        ),
    ),
    Mutant(
        name="a decision that lapsed gets an order",
        file=_PG_ORDERS,
        old="                    THEN 'lapsed'\n",
        new="                    THEN NULL\n",
        tests=of(_OF_CONTRACT, "test_a_decision_that_lapsed_gets_no_order"),
    ),
    Mutant(
        name="a decision with an order lapses",
        file="service/store/tables/signals.py",
        old=(
            "     WHERE NOT EXISTS"
            " (SELECT FROM orders WHERE decision_id = %(decision_id)s::bigint)\n"
        ),
        new="",
        tests=of(_OF_CONTRACT, "test_a_decision_with_an_order_does_not_lapse"),
    ),
    Mutant(
        name="a new owner of the lease does not close what was allowed and not ordered",
        file="service/app/bootstrap.py",
        old="        await close_lapsed(ports.store.signals, ports.clock)\n",
        new="",
        tests=of(
            "tests/unit/app/test_bootstrap.py",
            "test_a_new_owner_closes_what_was_allowed_and_not_ordered",
        ),
    ),
    Mutant(
        name="two markets are judged at the same time",
        file=_TRADE,
        old="            async with self._deciding:\n",
        new="            if True:\n",
        tests=of(_OF_STALE, "test_two_markets_at_once_cannot_both_take_the_hours_last_order"),
    ),
    Mutant(
        name="an order of an older epoch is written",
        file=_PG_ORDERS,
        old="           AND epoch = %(epoch)s\n",
        new="",
        tests=of(_OF_PG_ORDERS, "test_a_stale_epoch_writes_no_order"),
    ),
    Mutant(
        name="an order is written under a lease that has run out",
        file=_PG_ORDERS,
        old="           AND expires_at > clock_timestamp()\n",
        new="",
        tests=of(_OF_PG_ORDERS, "test_a_lapsed_lease_writes_no_order_even_if_nobody_took_it"),
    ),
    Mutant(
        name="a takeover of the lease does not wait for an order being written",
        file=_PG_ORDERS,
        old="           AND expires_at > clock_timestamp()\n           FOR SHARE\n",
        new="           AND expires_at > clock_timestamp()\n",
        tests=of(_OF_PG_ORDERS, "test_an_order_that_waited_for_a_takeover_is_refused"),
    ),
    Mutant(
        name="an order is written whatever the switch says by then",
        file=_PG_ORDERS,
        old="switch.value IS DISTINCT FROM 'true'::jsonb",
        new="false",
        tests=of(_OF_PG_ORDERS, "test_a_refusal_is_stored_with_what_refused_it"),
    ),
    Mutant(
        name="an order's insert sees the switch as it was before a wait",
        file=_PG_ORDERS,
        old="         ORDER BY key\n           FOR SHARE\n",
        new="         ORDER BY key\n",
        tests=of(
            _OF_PG_ORDERS,
            "test_an_order_that_waited_for_the_switch_to_be_set_off_is_refused",
            "test_whatever_stops_trading_waits_for_the_order_that_came_first",
        ),
    ),
    Mutant(
        name="an order's insert sees the halts as they were before a wait",
        file=_PG_ORDERS,
        old="          FROM trading_state\n           FOR SHARE\n",
        new="          FROM trading_state\n",
        tests=of(
            _OF_PG_ORDERS,
            "test_an_order_that_waited_for_a_halt_is_refused",
            "test_whatever_stops_trading_waits_for_the_order_that_came_first",
        ),
    ),
    Mutant(
        name="an order is written although its market is halted",
        file=_PG_ORDERS,
        old="                      OR %(market)s = ANY (halts.halted_markets) THEN 'HALTED'\n",
        new="                    THEN 'HALTED'\n",
        tests=of(_OF_CONTRACT, "test_an_insert_permits_what_the_table_of_states_permits"),
    ),
    Mutant(
        name="an order's insert permits a milder state than holds",
        file=_PG_ORDERS,
        old="                      OR %(market)s = ANY (halts.reducing_markets) THEN 'REDUCING'\n",
        new="                    THEN 'REDUCING'\n",
        tests=of(_OF_CONTRACT, "test_an_insert_permits_what_the_table_of_states_permits"),
    ),
    Mutant(
        name="an order's insert counts no orders",
        file=_PG_ORDERS,
        old="                    THEN 'order_rate'\n",
        new="                    THEN NULL\n",
        tests=of(_OF_CONTRACT, "test_an_insert_counts_the_orders_of_the_hour_before_it"),
    ),
    Mutant(
        name="an order's insert knows no cap of a day's purchases",
        file=_PG_ORDERS,
        old="                    THEN 'max_daily_order'\n",
        new="                    THEN NULL\n",
        tests=of(_OF_CONTRACT, "test_an_insert_keeps_the_cap_of_a_korean_day"),
    ),
    Mutant(
        name="an order's insert knows no cap of a purchase",
        file=_PG_ORDERS,
        old="WHEN most_krw < %(spends_krw)s::numeric THEN 'max_order'\n",
        new="WHEN false THEN 'max_order'\n",
        tests=of(_OF_CONTRACT, "test_an_insert_keeps_the_cap_of_a_purchase"),
    ),
    Mutant(
        name="two orders are written at a time and count the same hour",
        file=_EXECUTE,
        old="        async with _in_time(source), self._writing:\n",
        new="        async with _in_time(source):\n",
        tests=of(_OF_STALE, "test_orders_are_written_one_at_a_time"),
    ),
    Mutant(
        name="an order is moved although another pass has moved it",
        file=_PG_ORDERS,
        old="       AND status = %(seen)s\n",
        new="",
        tests=of(_OF_PG_ORDERS, "test_advance_is_a_no_op_once_another_pass_moved_the_order"),
    ),
    Mutant(
        name="a fill that is booked is booked again",
        file=_PG_ORDERS,
        old="                    if await is_stored(cur, order.id, fills):\n",
        new="                    if False:\n",
        tests=of(_OF_PG_ORDERS),
    ),
    Mutant(
        name="an order whose answer timed out counts as never sent",
        file=_UPBIT_ERRORS,
        old='raise lost("Upbit did not answer in time", code="timeout") from exc',
        new='raise ExchangeUnavailable("Upbit did not answer in time", code="timeout") from exc',
        tests=of(_OF_UPBIT_FAULTS, "test_a_call_ends_when_its_time_is_up"),
    ),
    Mutant(
        name="an order whose connection broke counts as never sent",
        file=_UPBIT_ERRORS,
        old='raise lost("the connection to Upbit broke", code="disconnected") from exc',
        new=(
            'raise ExchangeUnavailable("the connection to Upbit broke", code="disconnected")'
            " from exc"
        ),
        tests=of(_OF_UPBIT_FAULTS, "test_an_order_whose_connection_drops_has_an_unknown_outcome"),
    ),
    Mutant(
        name="a used identifier counts as a refusal",
        file=_UPBIT_ERRORS,
        old="    if code in _EARLIER_COPY_ARRIVED:\n",
        new="    if False:\n",
        tests=of(_OF_UPBIT_FAULTS, "test_any_other_answer_to_an_order_leaves_its_outcome_unknown"),
    ),
    Mutant(
        name="a signed order follows a redirect",
        file="service/adapters/upbit/client.py",
        old="            allow_redirects=False,\n",
        new="            allow_redirects=True,\n",
        tests=of(_OF_UPBIT_FAULTS, "test_a_signed_order_does_not_follow_a_redirect"),
    ),
    Mutant(
        name="the cache is believed while changes of settings are not heard",
        file="service/settings/cache.py",
        old="        if not self.is_trusted:\n",
        new="        if False:\n",
        tests=of(
            "tests/integration/app/test_listening.py",
            "test_a_switch_set_off_while_the_listener_is_cut_off_is_read_at_once",
        ),
    ),
    Mutant(
        name="a lost listener tells nothing",
        file="service/store/database/listen.py",
        old="            self._lost()\n",
        new="            pass\n",
        tests=of(
            "tests/integration/store/database/test_listen.py",
            "test_a_lost_connection_comes_back_and_says_so",
        ),
    ),
    Mutant(
        name="a listener that fell silent is believed",
        file="service/store/database/listen.py",
        old="                    await self._test(connection)\n",
        new="                    pass\n",
        tests=of(
            "tests/integration/store/database/test_listen.py",
            "test_a_connection_that_fell_silent_without_a_word_is_given_up",
        ),
    ),
    Mutant(
        name="a setting that changed while all were read is kept as it was",
        file="service/settings/cache.py",
        old="        if self.is_trusted and self._generations[name] == generation:\n",
        new="        if self.is_trusted:\n",
        tests=of(
            "tests/unit/settings/test_reading.py",
            "test_a_value_that_changed_while_all_were_read_is_not_kept",
        ),
    ),
    Mutant(
        name="a silence ends the wait for a notification that is on its way",
        file="service/store/database/listen.py",
        old="                    await self._test(connection)\n",
        new="                    note.cancel()\n"
        "                    note = asyncio.ensure_future(connection.notifies.get())\n"
        "                    await self._test(connection)\n",
        tests=of(
            "tests/integration/store/database/test_listen.py",
            "test_no_payload_is_lost_between_two_silences",
        ),
    ),
    Mutant(
        name="the trading state is not looked at before the request",
        file=_EXECUTE,
        old="self._switch.check(source=source, side=intent.side, market=intent.market)",
        new="pass",
        tests=_OF_SENDING,
    ),
    Mutant(
        name="an order's bytes leave without the last check",
        file="service/adapters/upbit/guarded_body.py",
        old="            self._before_send()\n",
        new="            pass\n",
        tests=_OF_SENDING,
    ),
    Mutant(
        name="the last check is made before the wait for limit and connection",
        file=_UPBIT_CLIENT,
        old="        data = GuardedBody(json.dumps(body).encode(), check, ",
        new=(
            "        before_send()\n"
            "        data = GuardedBody(json.dumps(body).encode(), lambda: None, "
        ),
        tests=_OF_SENDING,
    ),
    Mutant(
        name="an order that the last check stopped counts as perhaps sent",
        file=_UPBIT_CLIENT,
        old="            if body.refusal is not None and not body.has_left:\n",
        new="            if False:\n",
        tests=_OF_SENDING,
    ),
    Mutant(
        name="an order leaves although a ban began while it connected",
        file=_UPBIT_CLIENT,
        old='            self.check(Group.ORDER, endpoint=f"POST {url.path}")\n',
        new="",
        tests=of(
            "tests/integration/adapters/test_upbit_send.py",
            "test_what_still_connects_when_the_exchange_blocks_us_leaves_no_byte",
        ),
    ),
    Mutant(
        name="a look-up leaves although a ban began while it connected",
        file=_UPBIT_CLIENT,
        old="            middlewares=() if data is not None else (guard,),\n",
        new="",
        tests=of(
            "tests/integration/adapters/test_upbit_send.py",
            "test_what_still_connects_when_the_exchange_blocks_us_leaves_no_byte",
        ),
    ),
    Mutant(
        name="an order that ran out of time before it left counts as perhaps sent",
        file=_UPBIT_CLIENT,
        old="            if not data.has_left:\n",
        new="            if False:\n",
        tests=of(
            _OF_UPBIT_FAULTS,
            "test_an_order_that_waited_in_vain_for_a_connection_has_certainly_not_happened",
        ),
    ),
    Mutant(
        name="an order that may have left counts as certainly unsent",
        file="service/adapters/upbit/guarded_body.py",
        old="        self.has_left = True\n",
        new="",
        tests=of(_OF_UPBIT_FAULTS, "test_an_order_whose_connection_drops_has_an_unknown_outcome"),
    ),
    Mutant(
        name="bytes count as unsent when the connection breaks during their write",
        file="service/adapters/upbit/guarded_body.py",
        old=(
            "        self.has_left = True\n"
            "        await super().write_with_length(writer, content_length)\n"
        ),
        new=(
            "        await super().write_with_length(writer, content_length)\n"
            "        self.has_left = True\n"
        ),
        tests=of(
            "tests/unit/adapters/test_guarded_body.py",
            "test_bytes_count_as_perhaps_sent_when_the_connection_breaks_during_their_write",
        ),
    ),
    Mutant(
        name="a cancel counts as unsent when a ban forbids its repetition",
        file=_UPBIT_CLIENT,
        old="            if body.refusal is not None and not body.has_left:\n",
        new="            if body.refusal is not None:\n",
        tests=of(
            _OF_UPBIT_FAULTS,
            "test_a_request_whose_repetition_a_ban_forbids_may_have_arrived_the_first_time",
        ),
    ),
    Mutant(
        name="a refused key counts as a refusal of each order",
        file="service/adapters/upbit/errors.py",
        old="            of_account=answer.status in _OF_ACCOUNT,\n",
        new="",
        tests=of(
            _OF_UPBIT_FAULTS,
            "test_a_refusal_of_key_address_or_rights_is_told_from_one_of_the_question",
        ),
    ),
)
