"""The exchange's streams are not believed beyond what they prove, and never hang."""

from typing import Final

from tests.mutants.mutant import Mutant, of

_READER: Final = "service/adapters/upbit/stream/reader.py"
_TICKERS: Final = "service/adapters/upbit/stream/tickers.py"
_CLIENT: Final = "service/adapters/upbit/stream/client.py"
_FEED: Final = "service/flows/live_feed.py"
_ORDERS: Final = "service/flows/live_orders.py"
_RECONNECTS: Final = "service/flows/reconnects.py"
_OF_STREAM: Final = "tests/integration/adapters/test_upbit_stream.py"
_OF_TICKERS: Final = "tests/unit/adapters/test_streamed_prices.py"
_OF_FEED: Final = "tests/unit/flows/test_live_feed.py"
_OF_ORDERS: Final = "tests/unit/flows/test_live_orders.py"

STREAM: Final = (
    Mutant(
        name="a number of many digits is taken from its double",
        file=_TICKERS,
        old="        return Decimal(text) if len(text) <= _LONGEST else None\n",
        new="        return Decimal(value)\n",
        tests=of(_OF_TICKERS, "test_a_price_of_fifteen_digits_at_most_is_exact"),
    ),
    Mutant(
        name="a price that is not positive is a price",
        file=_TICKERS,
        old="    if type(value) is float and _LEAST <= value < _WHOLE_BELOW:\n",
        new="    if type(value) is float:\n",
        tests=of(_OF_TICKERS, "test_an_odd_number_is_an_odd_frame"),
    ),
    Mutant(
        name="pings of the stream are not sent",
        file=_CLIENT,
        old="                    heartbeat=self._ping_every_s,\n",
        new="",
        tests=of(_OF_STREAM, "test_a_socket_that_is_open_and_silent_is_found_by_its_missing_pongs"),
    ),
    Mutant(
        name="a frame of any length is read",
        file=_CLIENT,
        old="                    max_msg_size=LONGEST_FRAME,\n",
        new="                    max_msg_size=0,\n",
        tests=of(_OF_STREAM, "test_a_lost_connection_is_told_and_the_next_one_is_as_good"),
    ),
    Mutant(
        name="garbage without end is borne for ever",
        file=_READER,
        old="        if self._odd_in_a_row >= MOST_ODD:\n",
        new="        if False:\n",
        tests=of(_OF_STREAM, "test_frames_that_are_all_odd_end_the_connection"),
    ),
    Mutant(
        name="a word to slow down is no hold",
        file=_READER,
        old='"Upbit asks us to slow down", code="too_many_requests", retry_after_s=SLOW_DOWN_S',
        new='"Upbit asks us to slow down", code="too_many_requests"',
        tests=of(_OF_STREAM, "test_upbits_word_to_slow_down_is_a_hold"),
    ),
    Mutant(
        name="a wait that the exchange asks the stream for is not kept",
        file=_RECONNECTS,
        old="        wait_s = max(wait_s, min(error.retry_after_s or 0.0, LONGEST_BLOCK_S))\n",
        new="",
        tests=of(_OF_FEED, "test_a_wait_that_the_exchange_asks_for_is_kept"),
    ),
    Mutant(
        name="a block of the stream is tried again as any failure",
        file=_RECONNECTS,
        old='        if error.code == "banned":\n',
        new="        if False:\n",
        tests=of(_OF_FEED, "test_a_second_block_is_waited_out_twice_as_long"),
    ),
    Mutant(
        name="a stream that opens again and tells nothing is taken for one that is back",
        file=_RECONNECTS,
        old="        self._opened += 1\n",
        new="        self._opened += 1\n        self._lost_at = None\n",
        tests=of(_OF_FEED, "test_a_stream_that_opens_again_and_tells_nothing_stays_lost"),
    ),
    Mutant(
        name="a stream that is silent while pings are answered is not found",
        file=_FEED,
        old="            elif now - self._behind_at.setdefault(market, now) >= BEHIND_S:\n",
        new="            elif False:\n",
        tests=of(
            _OF_FEED,
            "test_a_silent_stream_is_found_within_ten_seconds_by_a_trade_that_rest_knows",
        ),
    ),
    Mutant(
        name="REST is not asked about a stream that has gone quiet",
        file=_FEED,
        old="            await self._live_prices.ask(self._exchange, self._markets)\n",
        new="            pass\n",
        tests=of(
            _OF_FEED,
            "test_a_silent_stream_is_found_within_ten_seconds_by_a_trade_that_rest_knows",
        ),
    ),
    Mutant(
        name="a market that never spoke is not noticed",
        file=_FEED,
        old="        self.unheard = unheard\n",
        new="",
        tests=of(_OF_FEED, "test_a_market_that_never_spoke_is_warned_about_once_and_shown"),
    ),
    Mutant(
        name="an unknown market is subscribed to",
        file=_FEED,
        old="[market for market in self._markets if market in known] or self._markets",
        new="self._markets",
        tests=of(_OF_FEED, "test_a_market_that_the_exchange_does_not_have_is_not_subscribed_to"),
    ),
    Mutant(
        name="orders are not looked up after a reconnect",
        file=_ORDERS,
        old="                self._look_at_all()\n                # Silence",
        new="                # Silence",
        tests=of(_OF_ORDERS, "test_each_connection_has_all_open_orders_looked_up"),
    ),
    Mutant(
        name="another program's orders are looked up",
        file=_ORDERS,
        old="        if not identifier.startswith(IDENTIFIER_PREFIX):\n",
        new="        if False:\n",
        tests=of(_OF_ORDERS, "test_news_of_an_order_of_ours_has_it_looked_up_at_once"),
    ),
)
