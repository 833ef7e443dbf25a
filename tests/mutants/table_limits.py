"""No order passes a limit, whatever the model proposes."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_STATE_RULES: Final = "service/domain/risk/state_rules.py"
_SIGNAL_RULES: Final = "service/domain/risk/signal_rules.py"
_COUNT_RULES: Final = "service/domain/risk/count_rules.py"
_SIZE_RULES: Final = "service/domain/risk/size_rules.py"
_EXCHANGE_RULES: Final = "service/domain/risk/exchange_rules.py"
_FACTS: Final = "service/domain/risk/facts.py"
_ORDER_OF_RULES: Final = "service/domain/risk/decide.py"
_MARKET_RULES: Final = "service/domain/risk/market_rules.py"
_OF_ENTRIES: Final = "tests/unit/domain/test_entries.py"
_OF_ABSURD: Final = "tests/unit/flows/test_absurd_facts.py"
_OF_LIMITS: Final = "tests/unit/domain/test_risk_limits.py"
_SITUATIONS: Final = "service/flows/situations.py"
_SWITCH: Final = "service/flows/trading_switch.py"
_FLATTEN: Final = "service/flows/flatten.py"
_RISK_API: Final = "service/web/api/risk.py"
_OF_FLATTEN: Final = "tests/unit/flows/test_flatten.py"
_OF_RISK_API: Final = "tests/unit/web/api/test_risk.py"
_OF_SWITCH: Final = "tests/unit/flows/test_trading_switch.py"
_OF_RISK: Final = "tests/unit/domain/test_risk.py"
_OF_KINDS: Final = "tests/unit/settings/test_kinds.py"
_TROUBLED: Final = of(
    _OF_LIMITS, "test_a_troubled_market_refuses_entries_by_name_and_lets_exits_pass"
)
_EACH: Final = of(_OF_RISK, "test_each_rule_refuses_in_its_own_name")

LIMITS: Final = (
    Mutant(
        name="trading_enabled is not looked at",
        file=_STATE_RULES,
        old="    if not limits.trading_enabled and not permits(",
        new="    if False and not permits(",
        tests=_EACH,
    ),
    Mutant(
        name="a halt is not looked at",
        file=_STATE_RULES,
        old="    if not permits(status, now.source, act):\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="the verdict does not hear of a halt",
        file=_SITUATIONS,
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
        old="        if not is_permitted:\n",
        new="        if False:\n",
        tests=of(_OF_SWITCH, "test_before_the_state_was_read_nothing_is_permitted"),
    ),
    Mutant(
        name="a halt's audit row is written again after a lost answer",
        file=_SWITCH,
        old="                    at=halt.since,\n                    once=True,\n",
        new="                    at=halt.since,\n",
        tests=of(_OF_SWITCH, "test_an_audit_row_whose_answer_was_lost_is_not_written_again"),
    ),
    Mutant(
        name="a halt's audit row is known by the instant of its try",
        file=_SWITCH,
        old="                    at=halt.since,\n                    once=True,\n",
        new="                    at=self._clock.now(),\n                    once=True,\n",
        tests=of(
            _OF_SWITCH,
            "test_a_halt_that_the_file_still_has_is_not_audited_again_by_the_next_process",
        ),
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
        old="        if not pending.in_journal:\n            await self._write(pending)\n",
        new="",
        tests=of(_OF_SWITCH, "test_the_next_process_reads_the_file_before_anything_else"),
    ),
    Mutant(
        name="a rule's halt is not written to its file",
        file=_SWITCH,
        old="            if pending.is_imposed and not pending.in_journal:\n",
        new="            if False:\n",
        tests=of(
            _OF_SWITCH,
            "test_a_halt_of_a_rule_outlives_the_process_while_the_database_is_away",
        ),
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
        old="        if route is not None and not route.is_queued:\n",
        new="        if route is not None and not route.is_queued and not route.body:\n",
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
            async with asyncio.timeout(STORE_WITHIN_S):
                await self._store_wishes(identifiers, by=by)
""",
        new="""        try:
            async with asyncio.timeout(STORE_WITHIN_S):
                await self._store_wishes(identifiers, by=by)
            for identifier in identifiers:
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
        file="service/web/contract/requests.py",
        old='    confirm: Literal["FLATTEN"]\n',
        new='    confirm: str = ""\n',
        tests=of("tests/unit/web/api/test_risk.py", "test_flatten_is_not_begun_without_the_word"),
    ),
    Mutant(
        name="a suspended market is traded",
        file=_STATE_RULES,
        old="    if not now.rules.active:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="min_confidence is not looked at",
        file=_SIGNAL_RULES,
        old="    if proposal.confidence < limits.min_confidence:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="signal_max_age_seconds is not looked at",
        file=_SIGNAL_RULES,
        old="    if now.signal_age_s > limits.signal_max_age_s:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="a signal's age is not taken",
        file=_SITUATIONS,
        old="signal_age_s=0.0 if made_at is None else (now - made_at).total_seconds(),\n",
        new="signal_age_s=0.0,\n",
        tests=of(
            "tests/unit/flows/test_stale_decisions.py",
            "test_a_signal_that_grows_old_while_the_rules_look_around_is_refused",
        ),
    ),
    Mutant(
        name="a market with an open order gets another one",
        file=_COUNT_RULES,
        old="    if now.open_orders:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="max_orders_per_hour allows one more",
        file=_COUNT_RULES,
        old="    if now.orders_last_hour >= limits.max_orders_per_hour:\n",
        new="    if now.orders_last_hour > limits.max_orders_per_hour:\n",
        tests=of(
            "tests/unit/flows/test_trade.py",
            "test_no_more_than_the_allowed_orders_are_placed_in_an_hour",
        ),
    ),
    Mutant(
        name="max_position_pct does not cut an order",
        file=_SIZE_RULES,
        old="    return passes(draft.cut_to(most), below, limit=limit, actual=actual)\n",
        new="    return passes(draft, below, limit=limit, actual=actual)\n",
        tests=of(_OF_RISK, "test_a_purchase_is_cut_to_the_room_that_all_coins_leave"),
    ),
    Mutant(
        name="max_position_pct does not count the operator's own coins",
        file=_SIZE_RULES,
        old="* limits.max_position_pct / HUNDRED - now.coins * now.price",
        new="* limits.max_position_pct / HUNDRED - now.position.volume * now.price",
        tests=of(_OF_RISK, "test_a_purchase_is_cut_to_the_room_that_all_coins_leave"),
    ),
    Mutant(
        name="a purchase may be larger than position_size_max_pct",
        file=_SIZE_RULES,
        old="scale = min(max((confidence - _LEAST_CONFIDENT) / span, ZERO), Decimal(1))",
        new="scale = max((confidence - _LEAST_CONFIDENT) / span, ZERO)",
        tests=of(_OF_RISK, "test_the_surest_signal_buys_for_the_largest_size_and_no_more"),
    ),
    Mutant(
        name="a purchase leaves nothing for its fee",
        file=_EXCHANGE_RULES,
        old="now.quote.available / (1 + now.rules.fee_ratio)",
        new="now.quote.available",
        tests=of(_OF_RISK, "test_a_purchase_leaves_its_fee_over"),
    ),
    Mutant(
        name="a sale sells the operator's own coins too",
        file=_SIZE_RULES,
        old="        whole = Draft(draft.side, now.position.volume)\n",
        new="        whole = Draft(draft.side, now.base.available)\n",
        tests=of(_OF_RISK, "test_a_sale_gives_the_whole_position_and_no_coin_of_the_operators_own"),
    ),
    Mutant(
        name="an order below the exchange's minimum is sent",
        file=_EXCHANGE_RULES,
        old="    if funds < rules.min_funds:\n",
        new="    if False:\n",
        tests=_EACH,
    ),
    Mutant(
        name="an order above the exchange's maximum is sent",
        file=_EXCHANGE_RULES,
        old="        draft = draft.cut_to(whole_money(rules.max_funds, rules.market.quote))\n",
        new="        pass\n",
        tests=of(_OF_RISK, "test_a_purchase_is_cut_to_the_exchanges_largest_order"),
    ),
    Mutant(
        name="a price in doubt is bought at",
        file=_MARKET_RULES,
        old="    if now.price_doubt is None:\n",
        new="    if True:\n",
        tests=of(
            _OF_ABSURD, "test_a_wrong_price_that_is_told_again_and_again_makes_no_position_larger"
        ),
    ),
    Mutant(
        name="the verdict does not hear that a price is in doubt",
        file=_SITUATIONS,
        old="            price_doubt=self.live_prices.doubt(market),\n",
        new="",
        tests=of(_OF_ABSURD, "test_a_last_trade_that_is_old_buys_nothing"),
    ),
    Mutant(
        name="a market that the exchange warns of is bought",
        file=_MARKET_RULES,
        old="    if not names or not draft.is_buy:\n",
        new="    if True:\n",
        tests=_TROUBLED,
    ),
    Mutant(
        name="a market whose trading ends is bought",
        file=_MARKET_RULES,
        old="    if ends is None:\n",
        new="    if True:\n",
        tests=_TROUBLED,
    ),
    Mutant(
        name="a doubted price keeps a position from being sold",
        file=_EXCHANGE_RULES,
        old="    if not draft.is_buy and draft.price is None and now.price_doubt is not None:\n",
        new="    if False:\n",
        tests=of(_OF_LIMITS, "test_a_price_that_is_none_keeps_no_position_from_being_sold"),
    ),
    Mutant(
        name="a lie that was stored as equity counts at once",
        file=_SITUATIONS,
        old="self.equities.lowest_since(now - _HOUR)",
        new="self.equities.lowest_since(now)",
        tests=of(
            _OF_ABSURD, "test_a_lie_that_was_stored_as_equity_counts_an_hour_later_at_the_earliest"
        ),
    ),
    Mutant(
        name="an entry pays any price",
        file=_MARKET_RULES,
        old="    highest = now.best.ask * (1 + limits.max_slippage_pct / HUNDRED)\n",
        new="    highest = now.best.ask * 2\n",
        tests=of(
            _OF_ENTRIES,
            "test_no_entry_pays_more_than_the_slippage_or_asks_less_than_the_best_price",
        ),
    ),
    Mutant(
        name="an entry follows an absurd offer of the order book",
        file=_MARKET_RULES,
        old="    if abs(now.best.ask - now.price) > most_apart:\n",
        new="    if False:\n",
        tests=of(_OF_ENTRIES, "test_a_best_price_far_from_the_last_price_is_none"),
    ),
    Mutant(
        name="an entry rests on the book",
        file="service/adapters/upbit/orders.py",
        old="    if intent.type is OrderType.LIMIT_IOC:\n",
        new="    if False:\n",
        tests=of(
            "tests/unit/adapters/test_upbit_wire.py",
            "test_an_entry_is_a_limit_order_that_never_rests_on_the_book",
        ),
    ),
    Mutant(
        name="an entry that is filled in part counts as cancelled",
        file="service/domain/orders.py",
        old="    if not intent.type.rests and seen.executed_volume > 0:\n",
        new="    if intent.type is OrderType.MARKET and seen.executed_volume > 0:\n",
        tests=of(
            "tests/unit/domain/test_orders.py",
            "test_the_exchanges_word_is_read_together_with_the_fills",
        ),
    ),
    Mutant(
        name="an order below the minimum after its volume is rounded is sent",
        file="service/domain/risk/drafts.py",
        old="        return whole_steps(self.amount / self.price) * self.price\n",
        new="        return self.amount\n",
        tests=of(
            _OF_ENTRIES,
            "test_an_entry_is_never_below_the_exchanges_minimum_after_its_volume_is_rounded",
        ),
    ),
    Mutant(
        name="a limit price by hand off the tick passes the rules",
        file=_EXCHANGE_RULES,
        old="    if draft.price <= 0 or draft.price % step:\n",
        new="    if False:\n",
        tests=of(_OF_ENTRIES, "test_a_limit_by_hand_off_the_tick_is_refused"),
    ),
    Mutant(
        name="a check that fails lets the order through",
        file=_ORDER_OF_RULES,
        old='refuses(draft, "this check failed, so it refuses"), type(exc).__name__',
        new=("Judged(draft=draft, passed=True, detail=str()), None"),
        tests=of(_OF_LIMITS, "test_an_error_in_a_check_refuses_in_its_name"),
    ),
    Mutant(
        name="a halt by a limit stops nothing",
        file=_STATE_RULES,
        old="        if not permits(halt.kind, now.source, act):\n",
        new="        if False:\n",
        tests=of(_OF_LIMITS, "test_a_halt_by_a_limit_refuses_purchases_in_its_own_name"),
    ),
    Mutant(
        name="a state that its halts do not explain is not in force",
        file=_FACTS,
        old="        if strictest(halt.kind for halt in self.halts) is not self.status:\n",
        new="        if False:\n",
        tests=of(_OF_LIMITS, "test_a_state_that_the_halts_do_not_explain_is_in_force"),
    ),
    Mutant(
        name="coins that the account leaves out make room for more",
        file=_FACTS,
        old="        return max(self.base.total, self.position.volume)\n",
        new="        return self.base.total\n",
        tests=of(_OF_LIMITS, "test_coins_that_the_account_does_not_show_count_by_our_own_position"),
    ),
    Mutant(
        name="any balance is believed",
        file=_FACTS,
        old="return amount if self.known_equity is None else min(amount, self.known_equity)",
        new="return amount",
        tests=of(
            _OF_LIMITS, "test_no_balance_makes_an_order_larger_than_the_last_known_equity_allows"
        ),
    ),
    Mutant(
        name="the operator's own coins make an order larger",
        file=_FACTS,
        old="return self._known(self.quote.available + self.invested)",
        new="return self._known(self.capital)",
        tests=of(_OF_LIMITS, "test_the_operators_own_coins_make_no_order_larger"),
    ),
    Mutant(
        name="max_exposure_pct does not count the other markets",
        file=_FACTS,
        old="        return self.position.volume * self.price + self.elsewhere\n",
        new="        return self.position.volume * self.price\n",
        tests=of(_OF_LIMITS, "test_no_purchase_passes_any_limit"),
    ),
    Mutant(
        name="max_exposure_pct does not count open purchases",
        file=_FACTS,
        old="        return self.invested + self.on_order\n",
        new="        return self.invested\n",
        tests=of(_OF_LIMITS, "test_open_purchases_count_for_the_exposure_as_if_they_were_filled"),
    ),
    Mutant(
        name="a cap in KRW does not cut a purchase",
        file=_SIZE_RULES,
        old='    return passes(draft.cut_to(most), f"within {key}",',
        new='    return passes(draft, f"within {key}",',
        tests=of(_OF_LIMITS, "test_one_purchase_is_cut_to_its_cap"),
    ),
    Mutant(
        name="what was bought today does not count for the day's cap",
        file=_SIZE_RULES,
        old="    most = whole_money((cap - used) / rate, now.rules.market.quote)\n",
        new="    most = whole_money(cap / rate, now.rules.market.quote)\n",
        tests=of(_OF_LIMITS, "test_the_purchases_of_a_day_are_cut_to_their_cap"),
    ),
    Mutant(
        name="a cap in KRW is passed over where a price is not known",
        file=_SIZE_RULES,
        old="        return refuses(draft, sentence, limit=decimal_text(cap))\n",
        new="        return passes(draft, sentence)\n",
        tests=of(_OF_LIMITS, "test_a_cap_in_krw_needs_the_price_of_other_money"),
    ),
    Mutant(
        name="a position that could not be sold at the stop is bought",
        file=_EXCHANGE_RULES,
        old="    if worth < now.rules.min_funds:\n",
        new="    if False:\n",
        tests=of(
            _OF_LIMITS, "test_a_purchase_by_hand_that_could_not_be_sold_at_the_stop_is_refused"
        ),
    ),
    Mutant(
        name="other money than KRW is rounded to whole units",
        file="service/domain/risk/drafts.py",
        old="_MONEY_STEPS.get(currency, VOLUME_STEP)",
        new="Decimal(1)",
        tests=of(_OF_LIMITS, "test_other_money_than_krw_is_not_rounded_to_whole_units"),
    ),
    Mutant(
        name="an open purchase does not count for the day's cap",
        file="service/store/tables/orders.py",
        old="                         ELSE coalesce(funds, price * volume) END), 0)",
        new="                         ELSE 0 END), 0)",
        tests=of(
            "tests/integration/store/test_contract.py",
            "test_what_is_bought_since_counts_an_open_order_whole_and_a_final_one_by_its_fills",
        ),
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
