"""What the exchange says of an order is held against the order, and no order is given up."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_RECONCILE: Final = "service/flows/reconcile.py"
_LOOKS: Final = "service/flows/looks.py"
_CHECKS: Final = "service/domain/order_checks.py"
_FILLS: Final = "service/store/tables/fills.py"
_PG_ORDERS: Final = "service/store/tables/orders.py"
_OF_RECONCILE: Final = "tests/unit/flows/test_reconcile.py"
_SWEEP: Final = "service/flows/order_sweep.py"
_OF_SWEEP: Final = "tests/unit/flows/test_order_sweep.py"
_LACKS: Final = "test_a_final_order_with_a_fee_a_trade_or_a_volume_that_its_row_lacks_is_looked_up"
_OF_UNANSWERED: Final = "tests/unit/flows/test_unanswered_looks.py"
_OF_DOUBTED: Final = "tests/unit/flows/test_doubted_fills.py"
_OF_OLDER: Final = "tests/unit/flows/test_older_answers.py"
_NOTHING_BACK: Final = "test_an_older_answer_contradicts_nothing_and_takes_nothing_back"
_OF_CHECKS: Final = "tests/unit/domain/test_order_checks.py"
_OF_CONTRACT: Final = "tests/integration/store/test_contract.py"
_OF_PG_ORDERS: Final = "tests/integration/store/tables/test_orders.py"
_CANNOT_BE: Final = "test_an_answer_that_cannot_be_true_is_named_with_its_numbers"

ANSWERS: Final = (
    Mutant(
        name="a decision whose order was recovered gets a second one",
        file=_PG_ORDERS,
        old="                            AND origin = 'RECOVERED')\n",
        new="                            AND origin = 'NONE')\n",
        tests=of(_OF_CONTRACT, "test_a_decision_whose_order_was_recovered_gets_no_second_one"),
    ),
    Mutant(
        name="the answer to the request is believed",
        file=_RECONCILE,
        old="        after = order.moved_to(OrderStatus.SUBMITTED)\n",
        new=(
            "        if seen:\n            return await self.absorb(order, seen)\n"
            "        after = order.moved_to(OrderStatus.SUBMITTED)\n"
        ),
        tests=of(_OF_RECONCILE, "test_the_answer_to_the_request_is_never_final"),
    ),
    Mutant(
        name="an answer that cannot be true is booked",
        file=_RECONCILE,
        old="        if found is not None:\n",
        new="        if found is not None and not seen:\n",
        tests=of(
            _OF_RECONCILE,
            "test_fills_that_cannot_be_true_are_not_booked_and_stop_purchases_of_their_market",
        ),
    ),
    Mutant(
        name="an order is final in an answer that does not add up",
        file=_RECONCILE,
        old="        if what.oddity is None:\n",
        new="        if what.oddity is None or seen:\n",
        tests=of(_OF_RECONCILE, "test_an_answer_that_does_not_add_up_once_loses_nothing"),
    ),
    Mutant(
        name="a cancel with nothing executed is believed at once",
        file=_LOOKS,
        old="NOTHING_LEFT: Final = Bound(2, 2.0)",
        new="NOTHING_LEFT: Final = Bound(1, 0.0)",
        tests=of(_OF_RECONCILE),
    ),
    Mutant(
        name="an answer that stays odd is never told",
        file=_RECONCILE,
        old="        if self._reached(order, PERSISTS) and (is_older or order.is_open):\n",
        new="        if False:\n",
        tests=of(_OF_RECONCILE, "test_an_answer_that_stays_odd_is_warned_of_once_and_put_aside"),
    ),
    Mutant(
        name="a fee that comes later is not booked",
        file=_RECONCILE,
        old="            paid_fee = seen.paid_fee if known or fills else None\n",
        new="            paid_fee = None\n",
        tests=of(_OF_RECONCILE, "test_a_fee_that_trails_its_trades_is_booked_when_it_comes"),
    ),
    Mutant(
        name="a bug about one order stops all others",
        file=_RECONCILE,
        old="        except Exception as exc:  # noqa: BLE001 - a bug about one order",
        new="        except DomainError as exc:  # - a bug about one order",
        tests=of(_OF_RECONCILE, "test_one_odd_order_does_not_keep_the_next_from_being_settled"),
    ),
    Mutant(
        name="a key that was refused puts every order aside",
        file=_RECONCILE,
        old="        return not error.of_account\n",
        new="        return True\n",
        tests=of(_OF_RECONCILE, "test_an_outage_is_not_asked_about_order_by_order"),
    ),
    Mutant(
        name="the market of a contradicted order goes on buying",
        file=_RECONCILE,
        old="        await self._reduce(order.market, CONTRADICTED, whole)\n",
        new="",
        tests=of(
            _OF_RECONCILE,
            "test_fills_that_cannot_be_true_are_not_booked_and_stop_purchases_of_their_market",
        ),
    ),
    Mutant(
        name="an order is given up without a proof",
        file=_RECONCILE,
        old="        if not await self._is_proved(order):\n",
        new="        if False:\n",
        tests=of(
            _OF_RECONCILE,
            "test_an_order_is_not_given_up_before_two_minutes_nor_without_a_proof",
        ),
    ),
    Mutant(
        name="one currency that has not moved proves an absence at once",
        file=_LOOKS,
        old="LONG_ABSENT: Final = Bound(10, 600.0)",
        new="LONG_ABSENT: Final = Bound(10, 120.0)",
        tests=of(
            _OF_RECONCILE, "test_one_currency_that_has_not_moved_is_a_proof_after_ten_minutes"
        ),
    ),
    Mutant(
        name="a long standstill counts as many looks",
        file=_LOOKS,
        old="LONG_ABSENT: Final = Bound(10, 600.0)",
        new="LONG_ABSENT: Final = Bound(3, 600.0)",
        tests=of(_OF_RECONCILE, "test_ten_minutes_without_a_look_are_no_ten_minutes"),
    ),
    Mutant(
        name="an order that was answered about is given up by one currency",
        file=_RECONCILE,
        old="return order.quarantine is None and self._reached(order, LONG_ABSENT)\n",
        new="return self._reached(order, LONG_ABSENT)\n",
        tests=of(_OF_RECONCILE, "test_an_order_that_was_answered_about_needs_both_currencies"),
    ),
    Mutant(
        name="the kernel delivers an order a quarter of an hour later",
        file="service/adapters/upbit/client.py",
        old="made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DROPPED_AFTER_MS)",
        new="pass",
        tests=of(
            "tests/integration/app/test_resources.py",
            "test_the_kernel_gives_a_request_to_the_exchange_up_long_before_its_order_is",
        ),
    ),
    Mutant(
        name="an order is given up while its request may still be on its way",
        file=_LOOKS,
        old="ABSENT: Final = Bound(3, 120.0)",
        new="ABSENT: Final = Bound(3, 30.0)",
        tests=of(
            _OF_RECONCILE,
            "test_an_order_is_not_given_up_before_two_minutes_nor_without_a_proof",
        ),
    ),
    Mutant(
        name="an order that was accepted is given up",
        file=_RECONCILE,
        old="        if order.status not in _NOT_ACKNOWLEDGED or order.is_acknowledged:\n",
        new="        if order.status not in _NOT_ACKNOWLEDGED:\n",
        tests=of(
            _OF_RECONCILE,
            "test_an_order_put_aside_after_it_was_accepted_is_never_given_up",
        ),
    ),
    Mutant(
        name="a fill that meets a failed row is dropped",
        file=_RECONCILE,
        old="        for _ in range(_STORE_TRIES):\n",
        new="        for _ in range(1):\n",
        tests=of(
            _OF_RECONCILE, "test_a_fill_that_meets_a_row_which_failed_meanwhile_is_not_dropped"
        ),
    ),
    Mutant(
        name="an order that turned up stops no purchase",
        file=_RECONCILE,
        old="            await self._reduce(order.market, RECOVERED, _numbers_of(order, seen))\n",
        new="",
        tests=of(
            _OF_RECONCILE, "test_an_order_that_turns_up_after_it_counted_as_failed_is_taken_in"
        ),
    ),
    Mutant(
        name="a pass with too many orders begins with the same ones each time",
        file=_RECONCILE,
        old="        return sorted(found, key=",
        new="        return found or sorted(found, key=",
        tests=of(_OF_RECONCILE, "test_a_pass_that_ends_early_leaves_the_rest_to_the_next_one"),
    ),
    Mutant(
        name="more money than was asked for may be spent",
        file=_CHECKS,
        old="intent.funds is not None and funds > intent.funds:",
        new="intent.funds is not None and funds > 10 * intent.funds:",
        tests=of(_OF_CHECKS, _CANNOT_BE),
    ),
    Mutant(
        name="more coins than were asked for may be filled",
        file=_CHECKS,
        old="if intent.volume is not None and volume > intent.volume:",
        new="if False:",
        tests=of(_OF_CHECKS, _CANNOT_BE),
    ),
    Mutant(
        name="a trade's funds need not be its price times its volume",
        file=_CHECKS,
        old="        if abs(product - trade.funds) > product * _ROUNDING_RATIO + _ROUNDING:\n",
        new="        if False:\n",
        tests=of(_OF_CHECKS, _CANNOT_BE),
    ),
    Mutant(
        name="a market order may fill at any price",
        file=_CHECKS,
        old="not prices.low / PRICE_BAND <= trade.price <= prices.high * PRICE_BAND",
        new="trade.price < 0",
        tests=of(_OF_CHECKS, _CANNOT_BE),
    ),
    Mutant(
        name="a fee may be of any size",
        file=_CHECKS,
        old="        if seen.paid_fee > funds * FEE_RATIO_MOST:\n",
        new="        if False:\n",
        tests=of(_OF_CHECKS, _CANNOT_BE),
    ),
    Mutant(
        name="a later fee is not charged to the position",
        file=_FILLS,
        old="    await cur.execute(CHARGE_POSITION, charged)\n",
        new="",
        tests=of(
            _OF_CONTRACT, "test_a_fee_that_comes_after_its_trades_is_charged_to_the_last_fill"
        ),
    ),
    Mutant(
        name="a later fee is not charged to the day",
        file=_FILLS,
        old="    await cur.execute(CHARGE_DAY, charged)\n",
        new="",
        tests=of("tests/integration/store/test_daily_stats.py"),
    ),
    Mutant(
        name="a fee may shrink",
        file=_FILLS,
        old="    if missing < 0:\n",
        new="    if False:\n",
        tests=of(
            _OF_CONTRACT,
            "test_a_fee_below_what_the_fills_carry_is_an_error_and_nothing_is_stored",
        ),
    ),
    Mutant(
        name="a constraint's error shows the row",
        file="service/store/database/refusals.py",
        old="    except (psycopg2.DataError, psycopg2.IntegrityError, ValueError) as exc:\n",
        new="    except ZeroDivisionError as exc:\n",
        tests=of(
            _OF_PG_ORDERS,
            "test_a_value_that_no_table_holds_is_an_error_of_its_order_without_its_amounts",
        ),
    ),
    Mutant(
        name="two looks at one order are made at once",
        file=_RECONCILE,
        old="        async with lock:\n",
        new="        if lock is not None:\n",
        tests=of(_OF_OLDER, "test_two_looks_at_one_order_at_once_are_made_one_after_the_other"),
    ),
    Mutant(
        name="a look that had to wait goes on from an old row",
        file=_RECONCILE,
        old="            if is_looked_up:",
        new="            if False:",
        tests=of(_OF_OLDER, "test_a_look_that_had_to_wait_goes_on_from_the_row_as_it_is_then"),
    ),
    Mutant(
        name="a row that moved gets the answer from before its move",
        file=_RECONCILE,
        old="            seen = again\n",
        new="",
        tests=of(_OF_OLDER, "test_a_row_that_moved_meanwhile_is_looked_up_afresh"),
    ),
    Mutant(
        name="an older answer counts like the newest",
        file=_CHECKS,
        old="    if _knows_less(order, seen, known):\n",
        new="    if False:\n",
        tests=of(_OF_OLDER, _NOTHING_BACK),
    ),
    Mutant(
        name="an older answer's lower fee is a contradiction",
        file=_CHECKS,
        old="    if seen.paid_fee < booked and seen.executed_volume > _volume(known, ()):\n",
        new="    if seen.paid_fee < booked:\n",
        tests=of(_OF_OLDER, _NOTHING_BACK),
    ),
    Mutant(
        name="a final order whose answers go on knowing less is never told",
        file=_RECONCILE,
        old="and (is_older or order.is_open):\n",
        new="and order.is_open:\n",
        tests=of(
            _OF_OLDER,
            "test_an_answer_that_goes_on_knowing_less_puts_its_order_aside_with_the_numbers",
        ),
    ),
    Mutant(
        name="an odd answer changes an order that is put aside",
        file=_RECONCILE,
        old="        if order.quarantine is not None:\n            return order  # stays aside",
        new="        if False:\n            return order  # stays aside",
        tests=of(_OF_OLDER, "test_an_odd_answer_leaves_an_order_aside_for_its_first_reason"),
    ),
    Mutant(
        name="an odd answer changes a final order",
        file=_RECONCILE,
        old="        if is_older or order.status in _FINAL:\n",
        new="        if is_older:\n",
        tests=of(_OF_OLDER, "test_an_odd_answer_about_a_final_order_leaves_it_final"),
    ),
    Mutant(
        name="an order is put aside again at each look",
        file=_RECONCILE,
        old="        if order.quarantine is not None and order.quarantine.reason == reason:\n",
        new="        if False:\n",
        tests=of(_OF_OLDER, "test_an_order_put_aside_again_for_the_same_reason_is_told_once"),
    ),
    Mutant(
        name="looks that find different things count as one run",
        file=_LOOKS,
        old="        if run is None or run.found != found:\n",
        new="        if run is None:\n",
        tests=of(_OF_OLDER, "test_looks_that_find_another_thing_each_time_are_no_run"),
    ),
    Mutant(
        name="one order without an answer ends each pass",
        file=_RECONCILE,
        old="            unanswered.found.append((order, exc))\n",
        new="            raise\n",
        tests=of(
            _OF_UNANSWERED,
            "test_one_order_that_is_never_answered_about_does_not_stop_a_takeover_for_ever",
        ),
    ),
    Mutant(
        name="an outage counts against the orders that were asked about",
        file=_RECONCILE,
        old="        if not unanswered.others:\n",
        new="        if False:\n",
        tests=of(_OF_UNANSWERED, "test_in_an_outage_no_order_is_put_aside_and_few_are_asked_about"),
    ),
    Mutant(
        name="an outage counts against an order of the lists",
        file=_RECONCILE,
        old="            await self._exchange.find(_NO_ORDER)  # else an outage: raises\n",
        new="",
        tests=of(_OF_UNANSWERED, "test_in_an_outage_a_listed_order_is_not_put_aside"),
    ),
    Mutant(
        name="in an outage every open order is asked about",
        file=_RECONCILE,
        old="            if unanswered.in_a_row == _UNANSWERED_MOST:\n                break\n",
        new="",
        tests=of(_OF_UNANSWERED, "test_in_an_outage_no_order_is_put_aside_and_few_are_asked_about"),
    ),
    Mutant(
        name="a takeover is over although an order was not answered about",
        file=_RECONCILE,
        old="            if after.quarantine is None or unanswered.in_a_row == _UNANSWERED_MOST:\n",
        new="            if False:\n",
        tests=of(_OF_UNANSWERED),
    ),
    Mutant(
        name="an order under our prefix that was never sent here is only logged",
        file=_RECONCILE,
        old="        await self._reduce(market, RECOVERED, detail)\n",
        new="",
        tests=of(
            _OF_UNANSWERED,
            "test_an_order_of_a_kind_never_sent_here_stops_its_markets_purchases_once",
        ),
    ),
    Mutant(
        name="an order never sent here halts its market after each resume",
        file=_RECONCILE,
        old="        if identifier in self._told:\n",
        new="        if False:\n",
        tests=of(
            _OF_UNANSWERED,
            "test_an_order_of_a_kind_never_sent_here_stops_its_markets_purchases_once",
        ),
    ),
    Mutant(
        name="a proxy's 404 counts against an order",
        file="service/adapters/upbit/errors.py",
        old="    if named and answer.name is None:\n",
        new="    if False:\n",
        tests=of(
            "tests/integration/adapters/test_upbit_faults.py",
            "test_a_refused_look_up_without_upbits_error_name_may_be_a_proxys",
        ),
    ),
    Mutant(
        name="whatever begins like our identifiers is ours",
        file="service/domain/orders.py",
        old='        return _OURS.fullmatch(self.order.identifier or "") is not None\n',
        new='        return (self.order.identifier or "").startswith(IDENTIFIER_PREFIX)\n',
        tests=of(
            "tests/unit/flows/test_cancel_entries.py",
            "test_an_identifier_that_only_begins_like_ours_keeps_no_purchase_on_the_book",
        ),
    ),
    Mutant(
        name="an identifier that cannot be sent is a bug that ends the cancels",
        file="service/adapters/upbit/wire.py",
        old="        raise InvalidRequest(f",
        new="        raise ValueError(f",
        tests=of(
            "tests/integration/adapters/test_upbit_calls.py",
            "test_an_identifier_that_cannot_be_signed_is_not_sent",
        ),
    ),
    Mutant(
        name="the sweep does not compare fees",
        file=_SWEEP,
        old="        and row.paid_fee == order.paid_fee\n",
        new="",
        tests=of(_OF_SWEEP, _LACKS),
    ),
    Mutant(
        name="the sweep does not compare how many trades there are",
        file=_SWEEP,
        old="        and row.fills == order.trades_count\n",
        new="",
        tests=of(_OF_SWEEP, _LACKS),
    ),
    Mutant(
        name="a sweep that is not complete is marked as done",
        file=_SWEEP,
        old="        if lists.unreadable:\n",
        new="        if False:\n",
        tests=of(
            _OF_SWEEP,
            "test_a_sweep_with_an_order_that_cannot_be_read_is_not_marked_as_done",
        ),
    ),
    Mutant(
        name="a sweep that an order without an answer leaves incomplete is marked as done",
        file=_SWEEP,
        old="        if unanswered:\n",
        new="        if False:\n",
        tests=of(
            _OF_SWEEP,
            "test_an_order_without_an_answer_holds_up_no_other_and_the_sweep_is_not_done",
        ),
    ),
    Mutant(
        name="a fill is booked at any price where none was collected around it",
        file=_RECONCILE,
        old="        return collected or await self._newest_price(self._prices, order.market)\n",
        new="        return collected\n",
        tests=of(
            _OF_DOUBTED,
            "test_an_absurd_price_is_not_booked_where_none_was_collected_around_it",
        ),
    ),
    Mutant(
        name="the newest collected price is not compared",
        file=_RECONCILE,
        old="        price = newest.get(market)\n",
        new="        price = newest.get(market) and None\n",
        tests=of(
            _OF_DOUBTED,
            "test_the_newest_collected_price_is_compared_before_the_exchange_is_asked",
        ),
    ),
    Mutant(
        name="a trade of any day is booked",
        file=_CHECKS,
        old="        if not first <= trade.traded_at <= last:\n",
        new="        if False:\n",
        tests=of(
            _OF_DOUBTED,
            "test_a_trade_dated_before_its_order_or_in_the_future_is_not_booked",
        ),
    ),
    Mutant(
        name="the instants of trades are not compared",
        file=_RECONCILE,
        old="            between=(\n                order.created_at",
        new="            between=None and (\n                order.created_at",
        tests=of(
            _OF_DOUBTED,
            "test_a_trade_dated_before_its_order_or_in_the_future_is_not_booked",
        ),
    ),
)
