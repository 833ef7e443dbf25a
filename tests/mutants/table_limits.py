"""No order passes a limit, whatever the model proposes."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_RISK: Final = "service/domain/risk.py"
_DECIDE: Final = "service/flows/decide.py"
_SWITCH: Final = "service/flows/trading_switch.py"
_FLATTEN: Final = "service/flows/flatten.py"
_RISK_API: Final = "service/web/api/risk.py"
_OF_FLATTEN: Final = "tests/unit/flows/test_flatten.py"
_OF_RISK_API: Final = "tests/unit/web/api/test_risk.py"
_OF_SWITCH: Final = "tests/unit/flows/test_trading_switch.py"
_OF_RISK: Final = "tests/unit/domain/test_risk.py"
_OF_KINDS: Final = "tests/unit/settings/test_kinds.py"
_EACH: Final = of(_OF_RISK, "test_each_rule_refuses_in_its_own_name")

LIMITS: Final = (
    Mutant(
        name="trading_enabled is not looked at",
        file=_RISK,
        old="    if not limits.trading_enabled and not permits(",
        new="    if False and not permits(",
        tests=_EACH,
    ),
    Mutant(
        name="a halt is not looked at",
        file=_RISK,
        old="    if not permits(now.status, now.source, act):\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="the verdict does not hear of a halt",
        file=_DECIDE,
        old="            status=state.of(market),\n",
        new="",
        tests=of(
            "tests/unit/flows/test_clock_guard.py",
            "test_halted_purchases_mean_no_new_one_and_open_ones_are_followed",
        ),
    ),
    Mutant(
        name="a halt of one market is not in the sum",
        file="service/store/tables/trading_state.py",
        old="               HAVING bool_and(kind = 'REDUCING')\n",
        new="               HAVING false\n",
        tests=of(
            "tests/integration/store/tables/test_trading_state.py",
            "test_a_halt_of_one_market_leaves_the_others_alone",
        ),
    ),
    Mutant(
        name="an operator's resume ends what only a condition ends",
        file="service/store/tables/trading_state.py",
        old="THEN ends = 'operator'",
        new="THEN true",
        tests=of(
            "tests/integration/store/tables/test_trading_state.py",
            "test_an_operator_ends_a_condition_only_by_its_name",
        ),
    ),
    Mutant(
        name="changes of the trading state do not wait for each other",
        file="service/store/tables/trading_state.py",
        old="    SELECT FROM trading_state\n       FOR UPDATE\n",
        new="    SELECT FROM trading_state\n",
        tests=of(
            "tests/integration/store/test_written_together.py",
            "test_halts_of_two_markets_at_once_are_both_in_the_sum",
        ),
    ),
    Mutant(
        name="a halted service may sell by hand",
        file="service/domain/trading_states.py",
        old="    (_T.HALTED, _S.HAND): _CANCEL,\n",
        new="    (_T.HALTED, _S.HAND): _REDUCE,\n",
        tests=of(
            "tests/unit/domain/test_trading_states.py",
            "test_each_cell_permits_what_the_contract_says",
        ),
    ),
    Mutant(
        name="the last step before the request asks no trading state",
        file=_SWITCH,
        old="        if not permits(status, source, OrderAct.of(side)):\n",
        new="        if False:\n",
        tests=of(_OF_SWITCH, "test_before_the_state_was_read_nothing_is_permitted"),
    ),
    Mutant(
        name="a halt that the database does not have yet is not in force",
        file=_SWITCH,
        old="            if pending.entry.halt.market in {None, market}\n",
        new="            if False\n",
        tests=of(_OF_SWITCH, "test_with_the_database_away_a_halt_is_in_force_and_in_the_file"),
    ),
    Mutant(
        name="a halt is not written to its file",
        file=_SWITCH,
        old="            await self._write(pending)\n",
        new="            pass\n",
        tests=of(_OF_SWITCH, "test_the_next_process_reads_the_file_before_anything_else"),
    ),
    Mutant(
        name="a damaged file of halts is passed over",
        file=_SWITCH,
        old="        if content.fault is not None:\n",
        new="        if False:\n",
        tests=of(_OF_SWITCH, "test_a_damaged_file_halts_trading_until_an_operator_resumes"),
    ),
    Mutant(
        name="a torn line of the file of halts is believed",
        file="service/adapters/halt_journal.py",
        old="    if int(checksum, 16) != zlib.crc32(text):\n",
        new="    if False:\n",
        tests=of(
            "tests/unit/adapters/test_halt_journal.py",
            "test_a_flipped_bit_never_makes_another_halt_of_one",
        ),
    ),
    Mutant(
        name="another process does not hear of a halt",
        file="service/store/tables/trading_state.py",
        old='        await cur.execute(NOTIFY, {"channel": CHANNEL, "name": STATE_NAME})\n',
        new="",
        tests=of(
            "tests/integration/app/test_listening.py",
            "test_a_halt_of_one_process_is_in_force_in_the_other_without_a_look",
        ),
    ),
    Mutant(
        name="the file of halts is not read at the start",
        file="service/app/jobs.py",
        old="    await services.trading_switch.load()\n",
        new="",
        tests=of(
            "tests/unit/app/test_bootstrap.py",
            "test_the_file_of_halts_is_read_before_the_lease_is_taken",
        ),
    ),
    Mutant(
        name="a halt waits behind other changes",
        file="service/web/middleware.py",
        old=" or handler in _NEVER_QUEUED:\n",
        new=":\n",
        tests=of("tests/unit/web/api/test_risk.py", "test_a_halt_waits_behind_no_other_change"),
    ),
    Mutant(
        name="a halt leaves our purchases on the book",
        file="service/flows/cancel_entries.py",
        old="if one.order.side is Side.BUY and self._must_go(one.order.market)\n",
        new="if False\n",
        tests=of(
            "tests/unit/flows/test_cancel_entries.py",
            "test_a_halt_takes_our_purchases_off_the_book_and_leaves_the_rest",
        ),
    ),
    Mutant(
        name="flatten sells the owner's own coins",
        file="service/flows/flatten.py",
        old="        volume = min(position.volume, balance.available if balance else ZERO)\n",
        new="        volume = balance.available if balance else ZERO\n",
        tests=of("tests/unit/flows/test_flatten.py", "test_the_operators_own_coins_are_not_sold"),
    ),
    Mutant(
        name="flatten sells while an order of ours is open",
        file="service/flows/flatten.py",
        old="        if open_orders:\n",
        new="        if False:\n",
        tests=of(
            "tests/unit/flows/test_flatten.py",
            "test_an_open_order_is_cancelled_before_the_coins_are_sold",
        ),
    ),
    Mutant(
        name="a flatten that was accepted ends with its process",
        file="service/flows/flatten.py",
        old="        await self._switch.refresh()\n        await self._read()\n",
        new="        await self._switch.refresh()\n",
        tests=of(
            "tests/unit/flows/test_flatten.py",
            "test_the_next_process_carries_on_what_was_accepted",
        ),
    ),
    Mutant(
        name="a flatten goes on although an operator resumed",
        file="service/flows/flatten.py",
        old="        if not self._is_halted(one.market):\n",
        new="        if False:\n",
        tests=of("tests/unit/flows/test_flatten.py", "test_a_resume_while_it_runs_ends_it"),
    ),
    Mutant(
        name="a flatten is accepted whose halt the database lacks",
        file="service/flows/flatten.py",
        old="            if not receipt.in_database:\n",
        new="            if False:\n",
        tests=of(
            "tests/unit/flows/test_flatten.py",
            "test_a_halt_that_the_database_lacks_begins_nothing",
        ),
    ),
    Mutant(
        name="a database that is away holds up a cancel",
        file="service/flows/order_cancels.py",
        old="""        for identifier in identifiers:
            await self._ask(identifier)
        try:
            for identifier in identifiers:
                order = await self._orders.find(identifier)
""",
        new="""        try:
            for identifier in identifiers:
                order = await self._orders.find(identifier)
                await self._ask(identifier)
""",
        tests=of(
            "tests/unit/flows/test_cancel_entries.py",
            "test_an_order_table_that_is_away_holds_no_cancel_up",
        ),
    ),
    Mutant(
        name="a flatten's sale is larger than the exchange takes",
        file=_FLATTEN,
        old="        volume = min(volume, whole_steps(rules.max_funds / ticker.price))\n",
        new="",
        tests=of(_OF_FLATTEN, "test_a_sale_is_no_larger_than_the_exchange_takes"),
    ),
    Mutant(
        name="a bug about one market stops the flatten of the others",
        file=_FLATTEN,
        old="        except Exception:  # noqa: BLE001",
        new="        except NotImplementedError:  # noqa: BLE001",
        tests=of(_OF_FLATTEN, "test_an_odd_number_in_one_market_does_not_keep_the_others"),
    ),
    Mutant(
        name="a flatten gives up when the key is refused",
        file=_FLATTEN,
        old="            return one if exc.of_account else _refused",
        new="            return _refused",
        tests=of(_OF_FLATTEN, "test_a_refusal_of_the_key_is_waited_out"),
    ),
    Mutant(
        name="a standby sells for a flatten",
        file=_FLATTEN,
        old="        if not self._leadership.may_trade:\n            await self._look_on()\n",
        new="        if False:\n            await self._look_on()\n",
        tests=of(_OF_FLATTEN, "test_a_standby_shows_it_and_carries_it_on_once_it_trades"),
    ),
    Mutant(
        name="a bug about one market stops the others",
        file="service/flows/all_markets.py",
        old="            except Exception as exc:  # noqa: BLE001",
        new="            except NotImplementedError as exc:  # noqa: BLE001",
        tests=of("tests/unit/flows/test_trade.py", "test_a_bug_about_one_market_is_that_markets"),
    ),
    Mutant(
        name="a reading that began before a halt counts as having it",
        file=_SWITCH,
        old="if pending not in covered]",
        new="if not pending.is_stored]",
        tests=of(
            _OF_SWITCH, "test_a_halt_stored_while_a_reading_is_under_way_is_not_taken_for_read"
        ),
    ),
    Mutant(
        name="a halt's answer waits for the database for ever",
        file=_SWITCH,
        old="            async with asyncio.timeout(STORE_WITHIN_S):\n",
        new="            async with asyncio.timeout(None):\n",
        tests=of(_OF_SWITCH, "test_a_database_that_never_answers_does_not_hold_up_the_answer"),
    ),
    Mutant(
        name="a halt of a mistyped market is answered well",
        file=_RISK_API,
        old="    if market not in request.app[CONFIG].markets:\n",
        new="    if False:\n",
        tests=of(_OF_RISK_API, "test_a_market_that_is_not_collected_is_not_halted"),
    ),
    Mutant(
        name="a standby answers a halt that the process that trades cannot hear of",
        file=_RISK_API,
        old="    if not (receipt.in_database or request.app[LEADERSHIP].is_last_known_owner):\n",
        new="    if False:\n",
        tests=of(_OF_RISK_API, "test_a_standby_that_can_tell_no_one_of_its_halt_says_so"),
    ),
    Mutant(
        name="flatten needs no confirmation",
        file="service/web/api/risk.py",
        old='    if body.get("confirm") != CONFIRM:\n',
        new="    if False:\n",
        tests=of("tests/unit/web/api/test_risk.py", "test_flatten_is_not_begun_without_the_word"),
    ),
    Mutant(
        name="a suspended market is traded",
        file=_RISK,
        old="    if not now.rules.active:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="min_confidence is not looked at",
        file=_RISK,
        old="    if proposal.confidence < limits.min_confidence:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="signal_max_age_seconds is not looked at",
        file=_RISK,
        old="    if now.signal_age_s > limits.signal_max_age_s:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="a signal's age is not taken",
        file=_DECIDE,
        old="signal_age_s=0.0 if made_at is None else (now - made_at).total_seconds(),\n",
        new="signal_age_s=0.0,\n",
        tests=of(
            "tests/unit/flows/test_stale_decisions.py",
            "test_a_signal_that_grows_old_while_the_rules_look_around_is_refused",
        ),
    ),
    Mutant(
        name="a market with an open order gets another one",
        file=_RISK,
        old="    if now.open_orders:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="max_orders_per_hour allows one more",
        file=_RISK,
        old="    if now.orders_last_hour >= limits.max_orders_per_hour:\n",
        new="    if now.orders_last_hour > limits.max_orders_per_hour:\n",
        tests=of(
            "tests/unit/flows/test_trade.py",
            "test_no_more_than_the_allowed_orders_are_placed_in_an_hour",
        ),
    ),
    Mutant(
        name="max_position_pct does not cut an order",
        file=_RISK,
        old="    cut = replace(draft, amount=min(draft.amount, _whole(room)))\n",
        new="    cut = draft\n",
        tests=of(_OF_RISK, "test_a_purchase_is_cut_to_the_room_that_all_coins_leave"),
    ),
    Mutant(
        name="max_position_pct does not count the operator's own coins",
        file=_RISK,
        old="* limits.max_position_pct / _HUNDRED - now.base.total * now.price",
        new="* limits.max_position_pct / _HUNDRED - now.position.volume * now.price",
        tests=of(_OF_RISK, "test_a_purchase_is_cut_to_the_room_that_all_coins_leave"),
    ),
    Mutant(
        name="a purchase may be larger than position_size_max_pct",
        file=_RISK,
        old="scale = min(max((confidence - _LEAST_CONFIDENT) / span, ZERO), Decimal(1))",
        new="scale = max((confidence - _LEAST_CONFIDENT) / span, ZERO)",
        tests=of(_OF_RISK, "test_the_surest_signal_buys_for_the_largest_size_and_no_more"),
    ),
    Mutant(
        name="a purchase leaves nothing for its fee",
        file=_RISK,
        old="_whole(now.quote.available / (1 + now.rules.fee_ratio))",
        new="_whole(now.quote.available)",
        tests=of(_OF_RISK, "test_a_purchase_leaves_its_fee_over"),
    ),
    Mutant(
        name="a sale sells the operator's own coins too",
        file=_RISK,
        old="return _passes(replace(draft, amount=now.position.volume),",
        new="return _passes(replace(draft, amount=now.base.available),",
        tests=of(_OF_RISK, "test_a_sale_gives_the_whole_position_and_no_coin_of_the_operators_own"),
    ),
    Mutant(
        name="an order below the exchange's minimum is sent",
        file=_RISK,
        old="    if funds < now.rules.min_funds:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="an order above the exchange's maximum is sent",
        file=_RISK,
        old="amount=min(draft.amount, _whole(now.rules.max_funds))",
        new="amount=draft.amount",
        tests=of(_OF_RISK, "test_a_purchase_is_cut_to_the_exchanges_largest_order"),
    ),
    Mutant(
        name="a number out of its setting's bounds is stored",
        file="service/settings/amounts.py",
        old="        if not self.low <= value <= self.high or round(",
        new="        if round(",
        tests=of(_OF_KINDS, "test_a_percentage_refuses_what_is_no_number_within_its_bounds"),
    ),
    Mutant(
        name="a whole number out of its setting's bounds is stored",
        file="service/settings/amounts.py",
        old=" or not self.low <= raw <= self.high:",
        new=":",
        tests=of(_OF_KINDS, "test_minutes_are_whole_and_within_their_bounds"),
    ),
)
