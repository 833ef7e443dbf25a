"""Ticks, limits, faults and the journal's small print."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from service.domain.decimals import decimal_text
from service.domain.errors import ConfigError, InvalidRequest
from service.sandbox.errors import RequestRefused
from service.sandbox.exchange.journal import Horizon, open_journal
from service.sandbox.faults import Fault, Faults
from service.sandbox.gemini_api.answer import shaped
from service.sandbox.gemini_api.request import camel
from service.sandbox.gemini_api.stub_model import opinion_on
from service.sandbox.market.order_book import book_at
from service.sandbox.market.prints import Print
from service.sandbox.market.ticks import UNITS, on_tick, tick_size, tick_units
from service.sandbox.rate_limits import RequestCounter, group_of
from tests.unit.sandbox.makers import KRW_BTC

T0 = datetime(2026, 1, 24, 9, 0, tzinfo=UTC)


#: Upbit docs, krw-market-info: from this price on, this tick
BANDS = [
    ("2000000", "1000"),
    ("1000000", "1000"),
    ("500000", "500"),
    ("100000", "100"),
    ("50000", "50"),
    ("10000", "10"),
    ("5000", "5"),
    ("1000", "1"),
    ("100", "1"),
    ("10", "0.1"),
    ("1", "0.01"),
    ("0.1", "0.001"),
    ("0.01", "0.0001"),
    ("0.001", "0.00001"),
    ("0.0001", "0.000001"),
    ("0.00001", "0.0000001"),
    ("0.00000001", "0.00000001"),
]


@pytest.mark.parametrize(("floor", "tick"), BANDS)
def test_the_tick_table_is_that_of_2025_07_31(floor: str, tick: str) -> None:
    for price in (Decimal(floor), Decimal(floor) + Decimal(tick)):
        assert tick_size(price) == Decimal(tick)
        assert on_tick(price)
        assert not on_tick(price + Decimal(tick) / 2)


@pytest.mark.parametrize(
    ("floor", "below"), [(a[0], b[1]) for a, b in pairwise(BANDS)], ids=lambda text: text
)
def test_just_below_a_band_the_lower_band_s_tick_is_valid(floor: str, below: str) -> None:
    price = Decimal(floor) - Decimal(below)

    assert tick_size(price) == Decimal(below)
    assert on_tick(price)


def test_the_highest_price_of_all_has_the_highest_band_s_tick() -> None:
    assert tick_size(Decimal(140_000_000)) == 1000


@pytest.mark.parametrize("price", [10_000, 100_000, 2_000_000, 100, 1])
def test_the_book_keeps_its_ticks_across_the_edge_of_a_band(price: int) -> None:
    for step in range(20):
        asks, bids = book_at(7, KRW_BTC, Print(step, price * UNITS, UNITS))

        assert asks[0].price > bids[0].price
        assert all(level.price % tick_units(level.price) == 0 for level in [*asks, *bids])
        assert all(level.size > 0 for level in [*asks, *bids])


def test_amounts_are_written_in_full() -> None:
    written = [decimal_text(Decimal(x)) for x in ("1E+2", "0E-20", "1.50", "1E-8", "100", "-0.10")]

    assert written == ["100", "0", "1.5", "0.00000001", "100", "-0.1"]


def test_the_limit_of_a_group_is_told_and_enforced() -> None:
    now = [100.0]
    limiter = RequestCounter(monotonic=lambda: now[0], is_enforced=True)

    left = [limiter.count("order") for _ in range(12)]
    limiter.check("order")
    limiter.count("order")

    assert (left[0], left[-1]) == (11, 0)
    with pytest.raises(RequestRefused) as refused:
        limiter.check("order")
    assert refused.value.status == 429
    now[0] += 1
    assert limiter.count("order") == 11


def test_a_path_belongs_to_its_group() -> None:
    assert group_of("POST", "/v1/orders") == "order"
    assert group_of("GET", "/v1/orders/open") == "default"
    assert group_of("DELETE", "/v1/order") == "default"
    assert group_of("GET", "/v1/candles/minutes/1") == "candles"
    assert group_of("GET", "/v1/orderbook/instruments") == "orderbook"
    assert group_of("POST", "/v1/orders/test") == "order-test"
    assert group_of("DELETE", "/v1/orders/open") == "order-cancel-all"


def test_a_quotation_for_a_web_page_has_a_limit_of_its_own_and_an_order_has_not() -> None:
    assert group_of("GET", "/v1/ticker", has_origin=True) == "origin"
    assert group_of("POST", "/v1/orders", has_origin=True) == "order"


def test_a_fault_strikes_every_nth_time_and_only_so_often() -> None:
    faults = Faults()
    faults.add(Fault(method="POST", path="/v1/orders", status=503, every_nth=2, times=2))

    struck = [faults.due("POST", "/v1/orders") is not None for _ in range(8)]

    assert struck == [False, True, False, True, False, False, False, False]
    assert faults.due("GET", "/v1/orders") is None
    assert faults.due("POST", "/v1/orders/test") is None


def test_a_fault_of_one_rate_limit_group_spares_the_others_and_the_model() -> None:
    faults = Faults()
    faults.add(Fault(group="default", status=429))

    struck = [
        (method, path)
        for method, path in (
            ("GET", "/v1/accounts"),
            ("GET", "/v1/orders/chance"),
            ("POST", "/v1/orders"),
            ("GET", "/v1/ticker"),
            ("POST", "/v1/models/gemini-3.8-flash:generateContent"),
        )
        if faults.due(method, path)
    ]

    assert struck == [("GET", "/v1/accounts"), ("GET", "/v1/orders/chance")]


def test_a_fault_by_chance_strikes_about_so_often_and_the_same_with_the_same_seed() -> None:
    def strikes(seed: int) -> list[bool]:
        faults = Faults(seed)
        faults.add(Fault(chance=0.2))
        return [faults.due("GET", "/v1/ticker") is not None for _ in range(2000)]

    first = strikes(1)

    assert first == strikes(1) != strikes(2)
    assert 300 < sum(first) < 500


def test_bytes_that_are_no_text_can_be_answered() -> None:
    assert Fault(body="한").payload == "한".encode()
    assert Fault(body_base64="/w==").payload == b"\xff"


def test_a_plan_that_is_not_understood_is_refused_whole() -> None:
    faults = Faults()

    for body in (
        b"",
        b"{}",
        b'[{"status": 503}, {"stat": 1}]',
        b'[{"status": "500"}]',
        b'[{"group": "nobody"}]',
        b'[{"body_base64": "?"}]',
        b'[{"chance": 0}]',
    ):
        with pytest.raises(InvalidRequest):
            faults.add_json(body)

    assert faults.plan() == []


def test_snake_case_is_read_as_camel_case_except_for_the_schema_s_own_names() -> None:
    body = {"response_schema": {"properties": {"my_field": {"max_length": 5}}}}

    assert camel(body) == {"responseSchema": {"properties": {"my_field": {"maxLength": 5}}}}


def test_an_answer_has_the_schema_s_fields_in_the_schema_s_order() -> None:
    schema = {
        "properties": {
            "action": {"type": "STRING"},
            "why_not": {"type": "STRING"},
            "reasoning": {"type": "STRING"},
            "mood": {"type": "STRING", "enum": ["CALM", "WILD"]},
        },
        "propertyOrdering": ["reasoning", "action", "mood", "why_not"],
    }

    body = shaped(opinion_on(""), schema)

    assert list(body) == ["reasoning", "action", "mood", "why_not"]
    assert (body["action"], body["mood"], body["why_not"]) == ("HOLD", "CALM", "")


def test_a_torn_last_line_is_dropped_and_a_damaged_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "exchange.jsonl"
    file.write_bytes(b'{"sandbox":1}\n{"at":"x"}\n{"orders":[{"uu')

    with open_journal(tmp_path) as (journal, records):
        journal.compact([{"sandbox": 1}])
        journal.append({"at": "y"})

    assert records == [{"sandbox": 1}, {"at": "x"}]
    assert file.read_text() == '{"sandbox":1}\n{"at":"y"}\n'
    assert file.stat().st_mode & 0o077 == 0

    file.write_bytes(b'{"sandbox":1}\n{"orders":[{"uu\n{"at":"y"}\n')
    with pytest.raises(ConfigError, match="line 2 is damaged"), open_journal(tmp_path):
        pass


def test_a_foreign_journal_is_refused(tmp_path: Path) -> None:
    (tmp_path / "exchange.jsonl").write_text('{"sandbox":99}\n')

    with pytest.raises(ConfigError, match="no sandbox journal"), open_journal(tmp_path):
        pass


def test_two_processes_may_not_share_a_journal(tmp_path: Path) -> None:
    with (
        open_journal(tmp_path),
        pytest.raises(ConfigError, match="another sandbox uses"),
        open_journal(tmp_path),
    ):
        pass


def test_a_state_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ConfigError, match="name a directory"), open_journal(tmp_path / "file"):
        pass


def test_instants_are_promised_ahead_and_not_at_every_look() -> None:
    lines: list[object] = []

    class LineFormatter:
        def append(self, record: object) -> None:
            lines.append(record)

    horizon = Horizon(LineFormatter(), lead=timedelta(seconds=10))
    for seconds in (0, 5, 9, 10, 11):
        horizon.seen(T0 + timedelta(seconds=seconds))

    promised = [(T0 + timedelta(seconds=s)).isoformat() for s in (10, 20)]
    assert lines == [{"until": instant} for instant in promised]


def test_a_fault_with_a_duration_ends_so_long_after_it_first_struck() -> None:
    now = [100.0]
    faults = Faults(monotonic=lambda: now[0])
    faults.add(Fault(path="/v1/order", status=404, for_s=10))

    struck = []
    for at in (150.0, 159.9, 160.0, 170.0):
        now[0] = at
        struck.append(faults.due("GET", "/v1/order") is not None)

    assert struck == [True, True, False, False]
