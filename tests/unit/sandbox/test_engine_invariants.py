"""Whatever is asked in whatever order, no coin and no won appears or disappears."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from service.sandbox.errors import RequestRefused
from service.sandbox.exchange.engine import Engine
from service.sandbox.exchange.records import Record
from tests.unit.sandbox.makers import an_engine, assert_explained, at, fields, limit

PRICES = st.lists(st.integers(80_000, 120_000), min_size=40, max_size=40)
TICK = 100


def on_tick(price: int) -> str:
    return str(price // TICK * TICK)


LIMITS = st.builds(
    lambda side, price, size, force: limit(
        side,
        on_tick(price),
        str(Decimal(size).scaleb(-8)),
        **({"time_in_force": force} if force else {}),
    ),
    st.sampled_from(["bid", "ask"]),
    st.integers(80_000, 120_000),
    st.integers(1, 10**10),
    st.sampled_from([None, None, "ioc", "fok", "post_only"]),
)
BUYS = st.builds(lambda krw: fields(price=str(Decimal(krw).scaleb(-2))), st.integers(1, 10**9))
SELLS = st.builds(
    lambda size: fields(
        side="ask", ord_type="market", price=None, volume=str(Decimal(size).scaleb(-8))
    ),
    st.integers(1, 10**10),
)
CANCELS = st.integers(0, 20)
COMMANDS = st.lists(
    st.tuples(st.integers(0, 3), st.one_of(LIMITS, BUYS, SELLS, CANCELS)), max_size=25
)


class Kept:
    """A journal in memory."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def append(self, record: Record) -> None:
        self.records.append(record)


def play(engine: Engine, commands: list[tuple[int, object]]) -> None:
    step = 0
    for wait, command in commands:
        step += wait
        try:
            if isinstance(command, int):
                orders = list(engine.orders.values())
                engine.cancel(orders[command % len(orders)], at(step)) if orders else None
            else:
                engine.place(command, at(step))  # type: ignore[arg-type]
        except RequestRefused:
            pass
        assert_explained(engine)
    engine.advance(at(step + 10))
    assert_explained(engine)


@settings(max_examples=60, deadline=None)
@given(prices=PRICES, commands=COMMANDS)
def test_every_balance_is_explained_by_the_trades(
    prices: list[int], commands: list[tuple[int, object]]
) -> None:
    engine = an_engine(*prices, krw=20_000_000, btc="50", volume=10**8)

    play(engine, commands)

    for order in engine.orders.values():
        wanted, left = order.request.volume, order.remaining_volume
        assert (wanted is None) == (left is None)
        if wanted is not None and left is not None:
            assert left >= 0
            assert order.executed_volume + left == wanted
        assert order.state != "done" or order.is_complete


@settings(max_examples=30, deadline=None)
@given(prices=PRICES, commands=COMMANDS)
def test_the_journal_restores_the_exchange_after_any_history(
    prices: list[int], commands: list[tuple[int, object]]
) -> None:
    journal = Kept()
    engine = an_engine(*prices, krw=20_000_000, btc="50", journal=journal)
    play(engine, commands)

    replayed = an_engine(*prices, krw=20_000_000, btc="50")
    for record in journal.records:
        replayed.restore(record)
    compacted = an_engine(*prices, krw=20_000_000, btc="50")
    compacted.restore(engine.snapshot())

    for other in (replayed, compacted):
        assert other.orders == engine.orders
        assert other.accounts() == engine.accounts()
        assert other.open_markets() == engine.open_markets()
        assert other.snapshot()["accounts"] == engine.snapshot()["accounts"]
