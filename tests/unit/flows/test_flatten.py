"""Flatten: everything of ours is cancelled and sold, once, and trading stays halted."""

from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest

from service.domain.errors import (
    ExchangeRefused,
    ExchangeUnavailable,
    NotLeader,
    OutcomeUnknown,
    StoreDown,
)
from service.domain.flattening import FINISHED, FlattenStatus
from service.domain.markets import Market
from service.domain.orders import OrderStatus, OrderType, Side
from service.domain.trading_states import OrderSource, TradingStatus
from service.flows.flatten import MOST_FAILURES, MOST_REFUSALS, Flattener
from service.flows.trading_switch import TradingSwitch
from tests.builders import KRW_BTC, T0, an_intent
from tests.fakes.audit import FakeAudit
from tests.fakes.flattenings import FakeFlattenings
from tests.fakes.halt_journal import FakeHaltJournal
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import House

ADMIN = "admin@127.0.0.1"
KRW_ETH = Market("KRW", "ETH")


@dataclass
class Post:
    """A house with a flattener; `restart` gives it the next process over the same rows."""

    house: House
    audit: FakeAudit = field(default_factory=FakeAudit)
    rows: FakeFlattenings = field(default_factory=FakeFlattenings)

    def __post_init__(self) -> None:
        self.house.exchange.set_price(4_000_000, KRW_ETH)
        self._start()

    async def restart(self) -> None:
        self._start()
        await self.switch.load()

    def _start(self) -> None:
        house = self.house
        self.switch = TradingSwitch(
            states=house.state,
            settings=house.settings,
            journal=FakeHaltJournal(),
            audit=self.audit,
            clock=house.clock,
            real_clock=house.clock,
            new_id=lambda: "h-1",
        )
        self.flattener = Flattener(
            switch=self.switch,
            exchange=house.exchange,
            orders=house.orders,
            rows=self.rows,
            executor=house.executor,
            cancels=house.order_cancels,
            leadership=house.leadership,
            audit=self.audit,
            clock=house.clock,
        )

    async def bought(self, market: Market = KRW_BTC, **intent: Any) -> None:
        await self.house.executor.execute(
            an_intent(market=market, **intent), decision_id=None, source=OrderSource.HAND
        )

    async def begin(self, markets: list[Market] | None = None) -> None:
        await self.flattener.begin(markets, actor=ADMIN, request_id="r-1")

    async def run(self, steps: int = 10) -> dict[str, FlattenStatus]:
        for _ in range(steps):
            await self.flattener.step()
            await self.house.reconciler.reconcile()
            # A cancelled order is looked at twice, two seconds apart, before it counts as that.
            self.house.clock.pass_time(2)
            await self.house.leadership.renew()
        return self.statuses()

    def statuses(self) -> dict[str, FlattenStatus]:
        return {str(one.market): one.status for one in self.flattener.progress()}

    @property
    def sales(self) -> list[tuple[str, Decimal | None]]:
        return [
            (str(intent.market), intent.volume)
            for intent, _ in self.house.exchange.sent
            if intent.side is Side.SELL
        ]


@pytest.fixture
async def post(house: House) -> Post:
    post = Post(house)
    await post.switch.load()
    return post


async def test_everything_held_is_sold_and_trading_stays_halted(post: Post) -> None:
    await post.bought()
    await post.bought(KRW_ETH)

    await post.begin()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.FLAT, "KRW-ETH": FlattenStatus.FLAT}
    assert [market for market, _ in post.sales] == ["KRW-BTC", "KRW-ETH"]
    assert [one.volume for one in await post.house.orders.positions()] == [0, 0]
    assert post.switch.status() is TradingStatus.HALTED
    assert [halt.reason for halt in post.house.state.halts] == ["flatten"]
    assert "risk.flatten" in [row["action"] for row in post.audit.rows]


async def test_it_is_halted_before_anything_is_read_or_sold(post: Post) -> None:
    await post.bought()
    post.house.orders.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await post.begin()

    assert post.switch.status() is TradingStatus.HALTED
    assert post.sales == []


async def test_only_the_markets_named_are_sold_and_halted(post: Post) -> None:
    await post.bought()
    await post.bought(KRW_ETH)

    await post.begin([KRW_ETH])
    ended = await post.run()

    assert ended == {"KRW-ETH": FlattenStatus.FLAT}
    assert [market for market, _ in post.sales] == ["KRW-ETH"]
    assert post.switch.status(KRW_ETH) is TradingStatus.HALTED
    assert post.switch.status(KRW_BTC) is TradingStatus.ACTIVE


async def test_the_operators_own_coins_are_not_sold(post: Post) -> None:
    await post.bought()
    post.house.exchange.available["BTC"] += Decimal(5)

    await post.begin()
    await post.run()

    assert post.sales == [("KRW-BTC", Decimal("0.001"))]


async def test_asked_again_while_it_runs_it_sells_nothing_twice(post: Post) -> None:
    await post.bought()

    await post.begin()
    await post.flattener.step()
    await post.begin()
    await post.run()
    await post.begin()
    again = await post.run()

    assert len(post.sales) == 1
    assert again == {}, "a later one finds nothing to do"


async def test_an_open_order_is_cancelled_before_the_coins_are_sold(post: Post) -> None:
    await post.bought()
    limit: dict[str, Any] = {
        "side": Side.SELL,
        "type": OrderType.LIMIT,
        "price": Decimal(200_000_000),
        "volume": Decimal("0.001"),
        "funds": None,
    }
    await post.bought(**limit)
    waiting = [o for o in post.house.orders.rows.values() if o.status is OrderStatus.SUBMITTED]

    await post.begin()
    await post.flattener.step()
    during = post.statuses()
    ended = await post.run()

    assert len(waiting) == 1
    assert during == {"KRW-BTC": FlattenStatus.CANCELLING}
    assert ended == {"KRW-BTC": FlattenStatus.FLAT}
    assert post.house.orders.rows[waiting[0].id].status is OrderStatus.CANCELLED


async def test_dust_is_said_and_left(post: Post) -> None:
    await post.bought(funds=Decimal(6_000))
    post.house.exchange.set_price(Decimal(50_000_000))

    await post.begin()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.DUST}
    assert post.sales == []


async def test_coins_that_the_account_does_not_have_are_told(post: Post, logs: Logs) -> None:
    await post.bought()
    post.house.exchange.available["BTC"] = Decimal(0)

    await post.begin()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.STUCK}
    assert "ERROR" in logs.levels


async def test_an_exchange_that_is_away_is_asked_again_and_nothing_is_sold_twice(
    post: Post,
) -> None:
    await post.bought()
    post.house.exchange.fail_next("balances", ExchangeUnavailable("no answer"))

    await post.begin()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.FLAT}
    assert len(post.sales) == 1


async def test_coins_that_cannot_be_read_are_sold_when_they_can_be(post: Post) -> None:
    await post.bought()
    post.house.exchange.unreadable_currencies = {"BTC"}

    await post.begin()
    meanwhile = await post.run()
    post.house.exchange.unreadable_currencies = set()
    ended = await post.run()

    assert meanwhile == {"KRW-BTC": FlattenStatus.WAITING}
    assert ended == {"KRW-BTC": FlattenStatus.FLAT}


async def test_a_sale_that_is_always_refused_ends_stuck(post: Post) -> None:
    await post.bought()
    for _ in range(MOST_FAILURES + 5):
        post.house.exchange.fail_next("submit", ExchangeRefused("no", code="market_offline"))

    await post.begin()
    ended = await post.run(MOST_FAILURES + 5)

    assert ended == {"KRW-BTC": FlattenStatus.STUCK}
    assert post.house.exchange.calls.count("submit") == 1 + MOST_FAILURES
    (one,) = post.flattener.progress()
    assert one.detail is not None
    assert "market_offline" in one.detail


async def test_a_standby_is_refused_before_anything_is_halted(post: Post) -> None:
    post.house.lease.epoch = None
    await post.house.leadership.renew()

    with pytest.raises(NotLeader):
        await post.begin()

    assert post.house.state.halts == []


async def test_a_process_that_loses_the_lease_sells_nothing_more(post: Post) -> None:
    await post.bought()
    await post.begin()
    post.house.lease.epoch = None
    await post.house.leadership.renew()

    ended = await post.run()

    assert post.sales == []
    assert not set(ended.values()) & FINISHED


# --- after a restart ------------------------------------------------------------------------------


async def test_the_next_process_carries_on_what_was_accepted(post: Post, logs: Logs) -> None:
    """It ended with the process: the halt stood, and the coins stayed unsold."""
    await post.bought()
    await post.bought(KRW_ETH)
    await post.begin()

    await post.restart()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.FLAT, "KRW-ETH": FlattenStatus.FLAT}
    assert [market for market, _ in post.sales] == ["KRW-BTC", "KRW-ETH"]
    assert post.switch.status() is TradingStatus.HALTED
    assert "a flattening that was accepted earlier is carried on" in logs.messages


async def test_a_process_that_dies_with_its_sale_under_way_sells_nothing_twice(post: Post) -> None:
    await post.bought()
    await post.begin()
    post.house.exchange.fail_next("submit", OutcomeUnknown("no answer"), after=True)
    await post.flattener.step()

    await post.restart()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.FLAT}
    assert len(post.sales) == 1


async def test_a_standby_shows_it_and_carries_it_on_once_it_trades(post: Post) -> None:
    await post.bought()
    await post.begin()
    await post.restart()
    lease, post.house.lease.epoch = post.house.lease.epoch, None
    await post.house.leadership.renew()

    await post.flattener.step()
    shown, sold_before = post.statuses(), list(post.sales)
    post.house.lease.epoch = lease
    await post.house.leadership.renew()
    await post.house.leadership.settle()
    ended = await post.run()

    assert (shown, sold_before) == ({"KRW-BTC": FlattenStatus.WAITING}, [])
    assert ended == {"KRW-BTC": FlattenStatus.FLAT}


async def test_how_it_ended_is_known_after_a_restart(post: Post) -> None:
    await post.bought(funds=Decimal(6_000))
    post.house.exchange.set_price(Decimal(50_000_000))
    await post.begin()
    before = await post.run()

    await post.restart()
    after = await post.run(1)

    assert before == after == {"KRW-BTC": FlattenStatus.DUST}
    assert post.flattener.progress()[0].detail is not None


async def test_a_resume_ends_it_also_when_it_came_while_no_process_ran(post: Post) -> None:
    """Otherwise the next process would sell what an operator has decided to keep."""
    await post.bought()
    await post.begin()
    await post.house.state.release(actor="admin", at=T0)

    await post.restart()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.STOPPED}
    assert post.sales == []


async def test_a_resume_while_it_runs_ends_it(post: Post) -> None:
    await post.bought()
    await post.begin()
    await post.switch.resume(actor="admin")

    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.STOPPED}
    assert post.sales == []


async def test_an_end_that_could_not_be_stored_is_stored_later(post: Post) -> None:
    await post.bought()
    await post.begin()
    await post.flattener.step()
    post.rows.fail = StoreDown("gone")
    with pytest.raises(StoreDown):
        await post.run()
    post.rows.fail = None

    await post.flattener.step()

    assert [one.status for one in await post.rows.last()] == [FlattenStatus.FLAT]


async def test_what_is_not_stored_is_not_accepted(post: Post) -> None:
    await post.bought()
    post.rows.fail = StoreDown("gone")

    with pytest.raises(StoreDown):
        await post.begin()

    assert post.switch.status() is TradingStatus.HALTED
    assert not post.flattener.is_running()


async def test_a_halt_that_the_database_lacks_begins_nothing(post: Post) -> None:
    """Another process would find the rows without their halt, and take that for a resume."""
    await post.bought()
    post.house.state.fail = StoreDown("gone")

    with pytest.raises(StoreDown, match="ask again"):
        await post.begin()

    assert post.switch.status() is TradingStatus.HALTED
    assert post.rows.rows == {}


async def test_an_open_order_is_asked_to_end_once_in_its_operators_name(post: Post) -> None:
    await post.bought()
    await post.bought(
        side=Side.SELL,
        type=OrderType.LIMIT,
        price=Decimal(200_000_000),
        volume=Decimal("0.001"),
        funds=None,
    )
    post.house.exchange.fail_next("cancel", ExchangeUnavailable("no answer"))

    await post.begin()
    await post.flattener.step()
    await post.flattener.step()
    asked = post.house.exchange.calls.count("cancel")
    await post.house.order_cancels.step()
    ended = await post.run()

    assert asked == 1, "the request is stored, and the cancels' own loop asks again"
    assert [by for by, _ in post.house.order_requests.cancelled.values()] == [ADMIN]
    assert ended == {"KRW-BTC": FlattenStatus.FLAT}


async def test_a_sale_is_no_larger_than_the_exchange_takes(post: Post) -> None:
    rules = post.house.exchange.market_rules
    await post.bought(funds=Decimal(100_000))
    rules[KRW_BTC] = replace(rules[KRW_BTC], max_funds=Decimal(40_000))

    await post.begin()
    ended = await post.run()

    assert ended == {"KRW-BTC": FlattenStatus.FLAT}
    assert len(post.sales) == 3


async def test_an_odd_number_in_one_market_does_not_keep_the_others(post: Post, logs: Logs) -> None:
    """A price of nearly nothing makes a volume that no order can have."""
    await post.bought()
    await post.bought(KRW_ETH)
    rules = post.house.exchange.market_rules
    rules[KRW_BTC] = replace(rules[KRW_BTC], min_funds=Decimal(0))
    post.house.exchange.prices[KRW_BTC] = Decimal("1E-30")

    await post.begin()
    await post.run(MOST_REFUSALS)

    assert post.statuses() == {"KRW-BTC": FlattenStatus.STUCK, "KRW-ETH": FlattenStatus.FLAT}
    assert "a bug" in " ".join(line["message"] for line in logs.of("risk"))


async def test_a_market_that_the_exchange_refuses_for_long_waits_for_an_operator(
    post: Post,
) -> None:
    await post.bought(KRW_ETH)
    for _ in range(MOST_REFUSALS):
        refused = ExchangeRefused("no", code="notfoundmarket")
        post.house.exchange.fail_next("rules", refused)

    await post.begin()
    await post.run(MOST_REFUSALS - 1)
    (waiting,) = post.flattener.progress()
    await post.run(1)
    (stuck,) = post.flattener.progress()

    assert (waiting.is_finished, stuck.status) == (False, FlattenStatus.STUCK)
    assert stuck.detail == f"refused {MOST_REFUSALS} times: notfoundmarket"


async def test_a_refusal_of_the_key_is_waited_out(post: Post) -> None:
    """It is every market's, and ends when the operator gives the service a key that is valid."""
    await post.bought()
    for _ in range(MOST_REFUSALS + 1):
        refused = ExchangeRefused("no", code="expired_access_key", of_account=True)
        post.house.exchange.fail_next("rules", refused)

    await post.begin()

    assert await post.run(MOST_REFUSALS + 10) == {"KRW-BTC": FlattenStatus.FLAT}
