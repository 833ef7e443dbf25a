"""A candle file is played to the digit, or refused with one sentence."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from service.domain.errors import ConfigError
from service.domain.markets import Market
from service.sandbox.market.candle_file import read_candles
from service.sandbox.market.prints import DAY_STEPS, MINUTE_STEPS, Prints, step_at
from service.sandbox.market.replay import Replay

KRW_BTC = Market("KRW", "BTC")
T0 = datetime(2020, 2, 20, 8, 0, tzinfo=UTC)
FAR = 10**12


def row(minute: int, **overrides: Any) -> dict[str, Any]:
    """Return a candle as Upbit answers it, `minute` minutes after T0."""
    values = {
        "market": "KRW-BTC",
        "candle_date_time_utc": (T0 + timedelta(minutes=minute)).strftime("%Y-%m-%dT%H:%M:%S"),
        "opening_price": 11_509_000.0 + minute,
        "high_price": 11_511_000.0 + minute,
        "low_price": 11_489_000.0 + minute,
        "trade_price": 11_498_000.0 + minute,
        "timestamp": 1582197598691,
        "candle_acc_trade_price": 30279009.54681,
        "candle_acc_trade_volume": 2.63267824,
        "unit": 1,
    }
    return {name: value for name, value in (values | overrides).items() if value is not None}


def stored(folder: Path, content: object, name: str = "candles.json") -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def as_csv(rows: list[dict[str, Any]], columns: list[str]) -> str:
    lines = [",".join(columns)] + [",".join(str(r[c]) for c in columns) for r in rows]
    return "\n".join(lines) + "\n"


COLUMNS = [
    "candle_date_time_utc",
    "opening_price",
    "high_price",
    "low_price",
    "trade_price",
    "candle_acc_trade_volume",
]


def test_newest_first_and_oldest_first_are_the_same_market(tmp_path: Path) -> None:
    rows = [row(minute) for minute in range(5)]

    old = read_candles(stored(tmp_path, rows))
    new = read_candles(stored(tmp_path, rows[::-1], "new.json"))

    assert old == new
    assert old.candles[0].opened_at == T0
    assert old.candles[0].volume == 263_267_824


def test_csv_without_market_and_unit_is_understood(tmp_path: Path) -> None:
    rows = [row(minute) for minute in range(0, 15, 3)]
    text = "\ufeff" + as_csv(rows, COLUMNS)

    file = read_candles(stored(tmp_path, text, "candles.csv"))

    assert (file.market, file.unit, len(file.candles)) == (None, 3, 5)
    assert file.candles[0].funds is None


def test_times_with_an_offset_are_read(tmp_path: Path) -> None:
    rows = [row(0, candle_date_time_utc="2020-02-20T17:00:00+09:00"), row(1)]

    assert read_candles(stored(tmp_path, rows)).candles[0].opened_at == T0


@pytest.mark.parametrize("minutes", [1, 3, 240])
def test_every_candle_of_the_file_comes_back_to_the_digit(tmp_path: Path, minutes: int) -> None:
    rows = [row(k * minutes, unit=minutes, high_price=11_600_000.0 + 1000 * k) for k in range(40)]
    file = read_candles(stored(tmp_path, rows))
    prints = Prints(Replay(file, seed=7, market=KRW_BTC))

    for candle in file.candles:
        bar = prints.bar(step_at(candle.opened_at), minutes * MINUTE_STEPS, now=FAR)
        assert bar is not None
        assert (bar.open, bar.high, bar.low, bar.close) == (
            candle.open,
            candle.high,
            candle.low,
            candle.close,
        )
        assert (bar.volume, bar.funds) == (candle.volume, candle.funds)


def test_the_generated_past_meets_the_first_candle(tmp_path: Path) -> None:
    file = read_candles(stored(tmp_path, [row(0), row(1)]))
    prints = Prints(Replay(file, seed=7, market=KRW_BTC))
    start = step_at(T0)

    before = prints.newest(start - 1).price

    assert abs(before / file.candles[0].open - 1) < 0.005
    assert prints.bar((start // DAY_STEPS - 150) * DAY_STEPS, DAY_STEPS, now=FAR) is not None


def test_after_the_last_candle_the_market_stands_still(tmp_path: Path) -> None:
    file = read_candles(stored(tmp_path, [row(0), row(1)]))
    prints = Prints(Replay(file, seed=7, market=KRW_BTC))
    end = step_at(T0 + timedelta(minutes=2))

    assert prints.last_step == end - 1
    assert prints.newest(end + 10**7).price == file.candles[-1].close
    assert prints.bar(end, MINUTE_STEPS, now=FAR) is None


def test_gaps_are_warned_about_once_and_have_no_candle(tmp_path: Path) -> None:
    said: list[Any] = []
    sink = logger.add(lambda message: said.append(message.record), level="WARNING")
    rows = [row(0), row(1), row(5), row(6), row(20), row(21, candle_acc_trade_volume=0)]

    file = read_candles(stored(tmp_path, rows))
    logger.remove(sink)

    extra = [record["extra"] for record in said]
    assert [(e["gaps"], e["longest_minutes"]) for e in extra] == [(2, 13)]
    prints = Prints(Replay(file, seed=7, market=KRW_BTC))
    assert prints.bar(step_at(T0 + timedelta(minutes=3)), MINUTE_STEPS, now=FAR) is None
    assert len(file.candles) == 5


BAD = {
    "is empty": "  \n",
    "is not valid JSON": '[{"market": "KRW-BTC",',
    "no list of candles": {"error": {"name": 404}},
    "holds no candle": [],
    "candle 2: not an object": [row(0), 7],
    "candle 1: trade_price is missing": [row(0, trade_price=None)],
    "candle 2: candle_acc_trade_volume is missing": [row(0), row(1, candle_acc_trade_volume="")],
    "candle 1: candle_date_time_utc is no time": [row(0, candle_date_time_utc="yesterday")],
    "candle 1: low_price is not a number": [row(0, low_price="much")],
    "candle 1: low_price is negative": [row(0, low_price=-1)],
    "candle 1: high_price is too large": [row(0, high_price=10**12)],
    "candle 1: candle_acc_trade_volume is negative": [row(0, candle_acc_trade_volume=-0.1)],
    "candle 1: the prices contradict": [row(0, low_price=12_000_000)],
    "candle 3: the same minute stands twice": [row(0), row(1), row(1)],
    "candle 3: out of order": [row(0), row(2), row(1)],
    "mixes several markets": [row(0), row(1, market="KRW-ETH")],
    "mixes candles of several units": [row(0), row(1, unit=3)],
    "cannot tell how long": [row(0, unit=None), row(2, unit=None)],
    "candle 2: candle_date_time_utc is not the start": [row(0, unit=3), row(2, unit=3)],
    "line 1: no column opening_price": "candle_date_time_utc,close\n2020-02-20T08:00:00,1\n",
    "line 3: not 6 columns": as_csv([row(0)], COLUMNS) + "2020-02-20T08:01:00,1\n",
    "line 2: high_price is not a number": as_csv([row(0, high_price="x")], COLUMNS),
    "no candle with a trade": [row(0, candle_acc_trade_volume=0)],
}


@pytest.mark.parametrize(
    ("odd", "sentence"),
    [
        ({"low_price": "1e99999999999999999999"}, "low_price is not a number"),
        ({"low_price": "1e999999999"}, "low_price is negative or too large"),
        ({"candle_date_time_utc": '"0001-01-01T00:00:00+09:00"'}, "is no time"),
    ],
)
def test_a_value_beyond_every_range_is_refused(
    tmp_path: Path, odd: dict[str, str], sentence: str
) -> None:
    fields = {name: json.dumps(value) for name, value in row(0).items()} | odd
    text = "[{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}]"

    with pytest.raises(ConfigError, match=f"candle 1: .*{sentence}"):
        read_candles(stored(tmp_path, text))


@pytest.mark.parametrize("sentence", BAD)
def test_a_bad_file_is_refused_with_its_name_and_the_row(tmp_path: Path, sentence: str) -> None:
    path = stored(tmp_path, BAD[sentence])

    with pytest.raises(ConfigError) as refused:
        read_candles(path)

    assert sentence in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    binary = tmp_path / "candles.bin"
    binary.write_bytes(b"\xff\xfe\x00\x01")

    for path, sentence in (
        (tmp_path / "none.json", "does not exist"),
        (tmp_path, "is a directory"),
        (binary, "is not text"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            read_candles(path)


def test_funds_of_a_file_need_not_be_price_times_volume(tmp_path: Path) -> None:
    file = read_candles(stored(tmp_path, [row(0, candle_acc_trade_price=123.45), row(1)]))

    assert file.candles[0].funds == int(Decimal("123.45") * 10**16)
