"""One odd value of the exchange costs one row, one order or one currency, and shows no amount."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_RECORD: Final = "service/adapters/upbit/record.py"
_ORDERS: Final = "service/adapters/upbit/orders.py"
_LISTS: Final = "service/adapters/upbit/order_lists.py"
_ACCOUNT: Final = "service/adapters/upbit/account.py"
_EVENTS: Final = "service/adapters/upbit/market_events.py"
_OF_EVENTS: Final = "tests/unit/adapters/test_market_events.py"
_BOOK: Final = "service/flows/account_book.py"
_OF_WIRE: Final = "tests/unit/adapters/test_upbit_wire.py"
_OF_LISTS: Final = "tests/integration/adapters/test_upbit_order_lists.py"
_OF_BOOK: Final = "tests/integration/flows/test_account_book.py"
_COLLECT: Final = "service/flows/collect.py"
_QUOTATION: Final = "service/adapters/upbit/quotation.py"
_OF_ODD_MARKETS: Final = "tests/integration/adapters/test_upbit_odd_markets.py"
_ODD_NUMBER: Final = of(
    _OF_ODD_MARKETS,
    "test_an_odd_number_of_one_market_does_not_keep_the_others_from_being_collected",
)
_ODD_CANDLE: Final = of(_OF_WIRE, "test_an_odd_candle_is_left_out_and_the_rest_of_the_page_counts")
_OF_COLLECT: Final = "tests/unit/flows/test_collect.py"
_OUTAGES: Final = of(
    "tests/integration/flows/test_collect.py",
    "test_no_candle_is_missing_twice_or_wrong_after_outages_of_any_kind_and_length",
)
_NOT_NOTHING: Final = of(
    _OF_WIRE, "test_a_currency_whose_row_cannot_be_read_does_not_pass_for_nothing_held"
)
_YEARS: Final = of(
    _OF_BOOK, "test_an_order_by_hand_that_was_open_for_years_costs_one_question_at_its_end"
)

ODD_ANSWERS: Final = (
    Mutant(
        name="an instant at the end of the calendar is believed",
        file=_RECORD,
        old="        if at.year not in _YEARS:\n",
        new="        if False:\n",
        tests=of(_OF_WIRE, "test_an_instant_that_upbit_cannot_mean_is_odd_however_it_is_written"),
    ),
    Mutant(
        name="an order without a readable uuid hides the whole list",
        file=_ORDERS,
        old="        uuid, found = NO_UUID, None\n",
        new='        uuid, found = Record(item, "order").text("uuid"), None\n',
        tests=of(_OF_LISTS, "test_one_odd_order_costs_neither_the_others_nor_the_lists_end"),
    ),
    Mutant(
        name="an order from before the window turns the window round",
        file=_LISTS,
        old=" for at in made if at >= begin - _SECOND)])\n",
        new=" for at in made)])\n",
        tests=of(
            _OF_LISTS,
            "test_an_order_from_before_the_window_does_not_move_its_end_before_its_begin",
        ),
    ),
    Mutant(
        name="a currency that is too long for our tables is passed on",
        file=_ACCOUNT,
        old="    if len(name) > LONGEST_CURRENCY:\n",
        new="    if False:\n",
        tests=of(_OF_WIRE, "test_a_row_of_a_currency_of_another_shape_is_left_out"),
    ),
    Mutant(
        name="a row that may be any currency's is left out",
        file=_ACCOUNT,
        old='            if name is None and not record.is_text("currency"):\n',
        new="            if False:\n",
        tests=of(
            _OF_WIRE,
            "test_a_row_without_any_name_spoils_the_answer_since_it_may_be_any_currency",
        ),
    ),
    Mutant(
        name="of a currency that stands there twice one row counts",
        file=_ACCOUNT,
        old="    if not is_first:\n",
        new="    if False:\n",
        tests=of(_OF_WIRE, "test_of_a_currency_that_stands_there_twice_neither_row_counts"),
    ),
    Mutant(
        name="of a currency that stands there twice the first row counts",
        file=_ACCOUNT,
        old="        found.pop(name, None)\n",
        new="        pass\n",
        tests=of(_OF_WIRE, "test_of_a_currency_that_stands_there_twice_neither_row_counts"),
    ),
    Mutant(
        name="a balance that no account can hold is believed",
        file=_ACCOUNT,
        old="    if available + locked >= _MOST_OF.get(currency, _MOST):\n",
        new="    if False:\n",
        tests=of(_OF_WIRE, "test_a_balance_larger_than_an_account_can_hold_is_unreadable"),
    ),
    Mutant(
        name="a market without a state is active",
        file=_ACCOUNT,
        old='        active=listing.text_or_none("state") == "active" and',
        new='        active=(listing.text_or_none("state") or "active") == "active" and',
        tests=of(_OF_WIRE, "test_a_market_whose_state_is_missing_or_unknown_is_not_active"),
    ),
    Mutant(
        name="a market that a ticker calls delisted is active",
        file=_EVENTS,
        old="            is_active=state in {None, ACTIVE},\n",
        new="            is_active=True,\n",
        tests=of(_OF_EVENTS, "test_a_tickers_state_and_day_of_the_end_are_kept"),
    ),
    Mutant(
        name="what the stream says of a market's end is not heard",
        file="service/adapters/upbit/stream/reader.py",
        old="        if self._market_events is not None:\n",
        new="        if False:\n",
        tests=of(
            "tests/integration/sandbox/test_market_control.py",
            "test_our_adapter_reads_warnings_state_missing_state_and_the_end",
        ),
    ),
    Mutant(
        name="a warning that cannot be read is none",
        file=_EVENTS,
        old="            found[market] = (UNREADABLE,)\n",
        new="            found[market] = ()\n",
        tests=of(_OF_EVENTS, "test_a_warning_that_cannot_be_read_is_a_warning_of_its_market_alone"),
    ),
    Mutant(
        name="an exchange that cannot be asked warns of nothing",
        file=_EVENTS,
        old="            return (UNREADABLE,)\n",
        new="            return ()\n",
        tests=of(_OF_EVENTS, "test_an_exchange_that_cannot_be_asked_may_warn_of_anything"),
    ),
    Mutant(
        name="a market that is not listed any more warns of nothing",
        file=_EVENTS,
        old="        return self._warnings.get(market, (NOT_LISTED,))\n",
        new="        return self._warnings.get(market, ())\n",
        tests=of(_OF_EVENTS, "test_a_market_that_is_not_listed_says_so"),
    ),
    Mutant(
        name="a tick of any size is believed",
        file=_ACCOUNT,
        old="            if not _SMALLEST_TICK <= tick_size <= _LARGEST_TICK:\n",
        new="            if False:\n",
        tests=of(_OF_WIRE, "test_rules_with_an_absurd_number_are_odd"),
    ),
    Mutant(
        name="a fee of any size is believed",
        file=_ACCOUNT,
        old="    if ratio > _HIGHEST_FEE:\n",
        new="    if False:\n",
        tests=of(_OF_WIRE, "test_rules_with_an_absurd_number_are_odd"),
    ),
    Mutant(
        name="a balance that cannot be read is forgotten",
        file=_ACCOUNT,
        old="                unreadable.add(name)\n",
        new="                pass\n",
        tests=_NOT_NOTHING,
    ),
    Mutant(
        name="a balance that cannot be read passes for nothing held",
        file="service/domain/markets.py",
        old="        if currency in self.unreadable:\n",
        new="        if False:\n",
        tests=_NOT_NOTHING,
    ),
    Mutant(
        name="one currency that cannot be read stops the look at every other",
        file=_BOOK,
        old="            moving=moving | moving_before | balances.unreadable,\n",
        new="            moving=moving | moving_before,\n",
        tests=of(_OF_BOOK, "test_a_currency_that_cannot_be_read_is_not_judged_and_hides_no_other"),
    ),
    Mutant(
        name="a currency that cannot be read is nothing when the books begin",
        file=_BOOK,
        old="        if balances.unreadable & self._needed:\n",
        new="        if False:\n",
        tests=of(_OF_BOOK, "test_the_books_begin_when_every_currency_that_is_traded_can_be_read"),
    ),
    Mutant(
        name="one odd currency of another market keeps the books from beginning",
        file=_BOOK,
        old="        if balances.unreadable & self._needed:\n",
        new="        if balances.unreadable:\n",
        tests=of(_OF_BOOK, "test_the_books_begin_when_every_currency_that_is_traded_can_be_read"),
    ),
    Mutant(
        name="health does not tell of a traded currency that cannot be read",
        file="service/app/health_wiring.py",
        old="                balances.get(currency)  # raises when",
        new="                str(currency)  # raises when",
        tests=of(
            "tests/unit/app/test_health_wiring.py",
            "test_a_traded_currency_that_cannot_be_read_makes_the_exchange_unhealthy",
        ),
    ),
    Mutant(
        name="a bug while the past is settled ends the process",
        file="service/flows/leadership.py",
        old="        except Exception as exc:  # noqa: BLE001 - the halts",
        new="        except RecursionError as exc:  # noqa: BLE001 - the halts",
        tests=of(
            "tests/unit/flows/test_leadership.py",
            "test_a_fault_of_ours_while_the_past_is_settled_is_told_without_its_text",
        ),
    ),
    Mutant(
        name="PostgreSQL's text about a refused row, amounts included, is an error's cause",
        file="service/store/database/refusals.py",
        old="        ) from None\n",
        new="        ) from exc\n",
        tests=of(_OF_BOOK, "test_no_amount_is_in_the_error_when_a_table_refuses_a_currency"),
    ),
    Mutant(
        name="the end of an old order by hand costs a question for each week since",
        file=_BOOK,
        old="    covered: datetime | None = None\n",
        new="    since = min([since, *also])\n    covered: datetime | None = None\n",
        tests=_YEARS,
    ),
    Mutant(
        name="an order by hand from before the exchange's time is asked for",
        file=_BOOK,
        old="if now - _LONGEST_OPEN < instant < since):\n",
        new="if instant < since):\n",
        tests=_YEARS,
    ),
    Mutant(
        name="the text of any error that ends the program is on stderr",
        file="service/cli/root.py",
        old="    except Exception as exc:  # noqa: BLE001 - Python would",
        new="    except RecursionError as exc:  # noqa: BLE001 - Python would",
        tests=of("tests/unit/cli/test_faults.py"),
    ),
    Mutant(
        name="one market's odd answer stops collecting the others",
        file=_COLLECT,
        old="        if not _is_of_one_market(exc):\n            raise\n        logger",
        new="        if exc:\n            raise\n        logger",
        tests=_ODD_NUMBER,
    ),
    Mutant(
        name="an odd ticker hides those of the other markets",
        file=_COLLECT,
        old="        if not _is_of_one_market(exc):\n            raise\n    found",
        new="        if exc:\n            raise\n    found",
        tests=_ODD_NUMBER,
    ),
    Mutant(
        name="an outage is asked about market by market",
        file=_COLLECT,
        old='        isinstance(error, BoundaryError) and error.code == "bad_answer"\n',
        new="        isinstance(error, BoundaryError)\n",
        tests=of(
            _OF_COLLECT,
            "test_an_outage_is_not_asked_about_market_by_market",
        ),
    ),
    Mutant(
        name="a candle that is dated later than asked for is the newest one",
        file=_QUOTATION,
        old="    if before is not None and at >= before:\n",
        new="    if False:\n",
        tests=_ODD_CANDLE,
    ),
    Mutant(
        name="the model is shown a candle of the future",
        file="service/flows/propose.py",
        old="        before = self._clock.now() + _AHEAD\n",
        new="        before = None\n",
        tests=of(
            "tests/unit/flows/test_propose.py",
            "test_a_candle_of_the_future_is_not_shown_to_the_model",
        ),
    ),
    Mutant(
        name="a candle may begin within a unit of its timeframe",
        file=_QUOTATION,
        old="    if (at - _EPOCH) % timeframe.duration != _NO_TIME:\n",
        new="    if False:\n",
        tests=_ODD_CANDLE,
    ),
    Mutant(
        name="a candle's date may be written in any form",
        file=_RECORD,
        old="        if not _UTC_SECOND.fullmatch(self.text(name)):\n",
        new="        if at.tzinfo is not None:\n",
        tests=_ODD_CANDLE,
    ),
    Mutant(
        name="one unreadable candle spoils its page",
        file=_QUOTATION,
        old="            faults.append(exc)\n",
        new="            raise\n",
        tests=_ODD_CANDLE,
    ),
    Mutant(
        name="a stored candle of the future is the newest one",
        file="service/store/tables/market_data.py",
        old='       AND opened_at < %(before)s\n"""',
        new='"""',
        tests=of(
            "tests/integration/store/tables/test_market_data.py",
            "test_a_stored_candle_of_the_future_is_not_the_newest_one",
        ),
    ),
    Mutant(
        name="a price that is not believed is stored",
        file=_COLLECT,
        old="                refused[market] = ticker\n",
        new="                await self._store(ticker, failed, at=asked_at)\n",
        tests=of(_OF_COLLECT, "test_a_price_that_is_not_believed_is_not_stored"),
    ),
    Mutant(
        name="a crash that is confirmed within the pass is not stored",
        file=_COLLECT,
        old="            if market in refused and self._is_confirmed",
        new="            if False and self._is_confirmed",
        tests=of(
            _OF_COLLECT,
            "test_a_crash_that_the_newest_candle_confirms_is_stored_in_the_same_pass",
        ),
    ),
    Mutant(
        name="REST's word of the pass before passes for the stream's",
        file=_COLLECT,
        old=" or latest.source is not PriceSource.STREAM:\n",
        new=":\n",
        tests=of(
            _OF_COLLECT, "test_rests_own_word_of_the_pass_before_is_not_taken_for_the_streams"
        ),
    ),
    Mutant(
        name="a stream that fell silent is collected from",
        file=_COLLECT,
        old="            if age_s is not None and age_s <= FRESH_S:\n",
        new="            if age_s is not None:\n",
        tests=of(
            _OF_COLLECT,
            "test_a_market_whose_stream_is_silent_comes_from_rest_the_others_do_not",
        ),
    ),
    Mutant(
        name="a cached answer of REST is stored after the stream's newer word",
        file=_COLLECT,
        old="self._live_prices.ticker(market) or ticker\n",
        new="ticker\n",
        tests=of(
            _OF_COLLECT,
            "test_an_answer_of_rest_that_is_older_than_the_streams_last_word_is_not_stored",
        ),
    ),
    Mutant(
        name="an outage of more than one page leaves a hole",
        file="service/flows/collect_candles.py",
        old="            is_last = newest is None or behind <= MAX_CANDLES\n",
        new="            is_last = True\n",
        tests=_OUTAGES,
    ),
    Mutant(
        name="the minute that was running at the last pass stays unfinished",
        file="service/flows/collect_candles.py",
        old="            count = max(2, min(behind + 1, MAX_CANDLES))\n",
        new="            count = max(1, min(behind - 1, MAX_CANDLES))\n",
        tests=_OUTAGES,
    ),
    Mutant(
        name="a minute that could not be read is never asked for again",
        file="service/flows/collect_candles.py",
        old="        if page.unreadable and doubt is None:\n",
        new="        if False:\n",
        tests=of(_OF_COLLECT, "test_a_minute_that_could_not_be_read_is_asked_for_again"),
    ),
    Mutant(
        name="a new process does not ask for the minutes that the last one could not read",
        file="service/flows/collect_candles.py",
        old="        if market not in self._begun:\n",
        new="        if False:\n",
        tests=of(
            _OF_COLLECT,
            "test_a_new_process_asks_once_for_the_minutes_that_the_last_one_could_not_read",
        ),
    ),
    Mutant(
        name="a minute that can never be read is asked for forever",
        file="service/flows/collect_candles.py",
        old="        if doubt.times >= MOST_AGAIN:\n",
        new="        if False:\n",
        tests=of(_OF_COLLECT, "test_a_minute_that_can_never_be_read_is_asked_for_ten_times_only"),
    ),
    Mutant(
        name="a price that no column holds is passed on",
        file=_QUOTATION,
        old="    if not _SMALLEST_PRICE <= price < _MOST:\n",
        new="    if False:\n",
        tests=_ODD_NUMBER,
    ),
    Mutant(
        name="a volume that no column holds is passed on",
        file=_QUOTATION,
        old="    if volume >= _MOST:\n",
        new="    if False:\n",
        tests=_ODD_NUMBER,
    ),
    Mutant(
        name="a change of price that no column holds is passed on",
        file=_QUOTATION,
        old="    if abs(ratio) >= _MOST_CHANGE:\n",
        new="    if False:\n",
        tests=_ODD_NUMBER,
    ),
    Mutant(
        name="a price that the table refuses stops collecting, with its row in the error",
        file="service/store/tables/market_data.py",
        old='        with refusals_about("prices"):\n',
        new="        if at:\n",
        tests=of(
            _OF_ODD_MARKETS,
            "test_a_price_that_the_table_refuses_is_an_error_of_its_market_without_the_row",
        ),
    ),
    Mutant(
        name="PostgreSQL's text about a refused candle is passed on",
        file="service/store/tables/market_data.py",
        old='        with refusals_about("candles"):\n',
        new="        if args:\n",
        tests=of(_OF_ODD_MARKETS, "test_a_candle_that_the_table_refuses_is_no_text_of_postgresql"),
    ),
)
