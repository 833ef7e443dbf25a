from contextlib import nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from math import ceil

import pytest

from service.domain.errors import (
    DomainError,
    ExchangeUnavailable,
    ModelRefused,
    ModelUnavailable,
    NotLeader,
    StoreDown,
    TooSoon,
)
from service.domain.markets import Market
from service.domain.orders import OrderStatus
from service.domain.risk.verdicts import Allowed, Held, Refused
from service.domain.signals import Action, Trigger
from service.flows.all_markets import AllMarkets
from tests.builders import KRW_BTC, a_proposal, an_answer, some_rules
from tests.fakes.logs import Logs
from tests.unit.flows.conftest import House

KRW_ETH = Market("KRW", "ETH")


def trades_eth_too(house: House) -> None:
    house.exchange.set_price(5_000_000, KRW_ETH)
    house.exchange.market_rules[KRW_ETH] = some_rules(market=KRW_ETH)


async def test_a_buy_signal_becomes_a_filled_order_with_every_step_on_record(house: House) -> None:
    signal = await house.pipeline.trade(KRW_BTC)

    assert signal is not None
    (call,) = house.signals.calls
    (decision,) = house.signals.decisions
    (order,) = house.orders.rows.values()
    assert (call.outcome, call.cost_usd) == ("ok", Decimal("0.00234375"))
    assert isinstance(decision.verdict, Allowed)
    assert (order.decision_id, order.status) == (1, OrderStatus.EXECUTED)


@pytest.mark.parametrize(
    ("early_s", "cost"), [(0.001, Decimal("0.00234375")), (0, Decimal("0.0046875"))]
)
async def test_a_price_counts_from_the_beginning_of_its_korean_day(
    house: House, early_s: float, cost: Decimal
) -> None:
    """Prices of 2027 begin at 15:00 UTC of the last day of 2026."""
    begin = datetime(2026, 12, 31, 15, tzinfo=UTC)
    house.clock.pass_time((begin - house.clock.now()).total_seconds() - early_s)

    await house.proposer.propose(KRW_BTC, trigger="manual")

    (call,) = house.signals.calls
    assert call.cost_usd == cost


async def test_a_hold_is_decided_and_orders_nothing(house: House) -> None:
    house.model.then(an_answer(proposal=a_proposal(action=Action.HOLD)))

    await house.pipeline.trade(KRW_BTC)

    assert isinstance(house.signals.decisions[0].verdict, Held)
    assert house.orders.rows == {}


@pytest.mark.parametrize(("currency", "orders"), [("KRW", 0), ("BTC", 0), ("ODD", 1)])
async def test_only_the_markets_of_a_currency_that_cannot_be_read_do_not_trade(
    house: House, currency: str, orders: int
) -> None:
    """Neither money nor coins that cannot be read pass for none."""
    house.exchange.unreadable_currencies = {currency}

    with nullcontext() if orders else pytest.raises(ExchangeUnavailable, match="cannot be read"):
        await house.pipeline.trade(KRW_BTC)

    assert len(house.exchange.sent) == orders


async def test_with_trading_off_the_refusal_is_kept_and_nothing_ordered(house: House) -> None:
    await house.allow(trading_enabled=False)

    await house.pipeline.trade(KRW_BTC)

    verdict = house.signals.decisions[0].verdict
    assert isinstance(verdict, Refused)
    assert verdict.reason == "trading_enabled"
    assert house.exchange.sent == []


async def test_an_unusable_answer_makes_no_signal_and_says_so(house: House, logs: Logs) -> None:
    house.model.then(an_answer(proposal=None, why="finish:MAX_TOKENS"))

    assert await house.pipeline.trade(KRW_BTC) is None

    assert house.signals.calls[0].outcome == "unusable"
    assert house.signals.signals == []
    assert "WARNING" in logs.levels


async def test_a_model_that_does_not_answer_leaves_its_row(house: House) -> None:
    house.model.then(ModelUnavailable("overloaded", code="overloaded"))

    with pytest.raises(ModelUnavailable):
        await house.pipeline.trade(KRW_BTC)

    assert [(call.outcome, call.why) for call in house.signals.calls] == [("error", "overloaded")]


async def test_a_pass_tried_again_asks_the_model_no_second_time(house: House) -> None:
    house.exchange.fail_next("balances", ExchangeUnavailable("no answer"))
    with pytest.raises(ExchangeUnavailable):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)

    assert len(house.model.asked) == 1
    assert len(house.signals.signals) == 1
    assert len(house.exchange.sent) == 1


async def test_a_decision_whose_order_was_written_is_not_ordered_twice(house: House) -> None:
    house.orders.lose = StoreDown("the commit's answer was lost")
    with pytest.raises(StoreDown):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)

    assert len(house.orders.rows) == 1
    assert house.exchange.sent == []


async def test_an_old_unfinished_signal_is_refused_for_its_age_and_a_new_one_made(
    house: House,
) -> None:
    house.exchange.fail_next("balances", ExchangeUnavailable("no answer"))
    with pytest.raises(ExchangeUnavailable):
        await house.pipeline.trade(KRW_BTC)

    house.clock.pass_time(1800)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC)

    first, second = house.signals.decisions
    assert isinstance(first.verdict, Refused)
    assert first.verdict.reason == "signal_age"
    assert isinstance(second.verdict, Allowed)


async def test_a_signal_whose_answer_was_lost_is_refused_later_and_never_acted_upon(
    house: House, logs: Logs
) -> None:
    house.signals.lose_signal = StoreDown("the row's answer was lost")
    with pytest.raises(StoreDown):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.trade(KRW_BTC)  # young as it is, it may still be another process's
    house.clock.pass_time(1800)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC)

    verdicts = {row.signal_id: row.verdict for row in house.signals.decisions}
    assert sorted(verdicts) == [1, 2, 3]
    assert isinstance(verdicts[1], Refused)
    assert verdicts[1].reason == "signal_age"
    assert isinstance(verdicts[2], Allowed)
    told = [line for line in logs.lines if "without a decision" in line["message"]]
    assert [line["signal_id"] for line in told] == [1]


async def test_a_second_manual_signal_has_to_wait_for_the_cooldown(house: House) -> None:
    await house.pipeline.generate(KRW_BTC)
    house.clock.pass_time(60)
    await house.leadership.renew()

    with pytest.raises(TooSoon) as refused:
        await house.pipeline.generate(KRW_BTC)

    assert 200 < refused.value.retry_after_s <= 240


async def test_a_run_by_hand_keeps_to_the_cooldown_and_a_planned_one_does_not(
    house: House,
) -> None:
    await house.pipeline.trade(KRW_BTC)
    house.clock.pass_time(60)
    await house.leadership.renew()

    with pytest.raises(TooSoon) as refused:
        await house.pipeline.trade(KRW_BTC, trigger="manual")
    asked = len(house.model.asked)
    await house.pipeline.trade(KRW_BTC)
    house.clock.pass_time(300)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_BTC, trigger="manual")

    assert ceil(refused.value.retry_after_s) == 240
    assert asked == 1
    assert [kept.trigger for kept in house.signals.kept.values()] == [
        "schedule",
        "schedule",
        "manual",
    ]


async def test_a_run_by_hand_finishes_within_the_cooldown_what_an_outage_cut_short(
    house: House,
) -> None:
    house.exchange.fail_next("balances", ExchangeUnavailable("no answer"))
    with pytest.raises(ExchangeUnavailable):
        await house.pipeline.trade(KRW_BTC)

    signal = await house.pipeline.trade(KRW_BTC, trigger="manual")

    assert signal is not None
    assert len(house.model.asked) == 1
    assert len(house.exchange.sent) == 1


async def test_after_an_old_unfinished_signal_a_run_by_hand_keeps_to_the_cooldown(
    house: House,
) -> None:
    await house.allow(signal_cooldown_minutes=60)
    house.exchange.fail_next("balances", ExchangeUnavailable("no answer"))
    with pytest.raises(ExchangeUnavailable):
        await house.pipeline.trade(KRW_BTC)
    house.clock.pass_time(1800)
    await house.leadership.renew()

    with pytest.raises(TooSoon):
        await house.pipeline.trade(KRW_BTC, trigger="manual")

    assert len(house.model.asked) == 1
    (decision,) = house.signals.decisions
    assert isinstance(decision.verdict, Refused)


async def test_a_run_by_hand_is_too_soon_only_where_every_market_is(house: House) -> None:
    trades_eth_too(house)
    await house.pipeline.trade(KRW_BTC)
    house.clock.pass_time(100)
    await house.leadership.renew()
    await house.pipeline.trade(KRW_ETH)
    house.clock.pass_time(20)

    with pytest.raises(TooSoon, match="in 180 s") as refused:
        await house.pipeline.check_cooldowns([KRW_ETH, KRW_BTC])
    await house.pipeline.check_cooldowns([KRW_ETH, KRW_BTC, Market("KRW", "XRP")])
    await house.pipeline.check_cooldowns([])
    house.clock.pass_time(180)
    await house.pipeline.check_cooldowns([KRW_ETH, KRW_BTC])

    assert ceil(refused.value.retry_after_s) == 180


async def test_a_run_by_hand_is_not_too_soon_for_what_an_outage_cut_short(house: House) -> None:
    house.exchange.fail_next("balances", ExchangeUnavailable("no answer"))
    with pytest.raises(ExchangeUnavailable):
        await house.pipeline.trade(KRW_BTC)

    await house.pipeline.check_cooldowns([KRW_BTC])

    assert len(house.signals.signals) == 1


async def test_without_a_cooldown_a_run_by_hand_is_never_too_soon(house: House) -> None:
    await house.allow(signal_cooldown_minutes=0)
    await house.pipeline.trade(KRW_BTC)

    await house.pipeline.check_cooldowns([KRW_BTC])
    await house.pipeline.trade(KRW_BTC, trigger="manual")

    assert len(house.signals.signals) == 2


async def test_a_round_by_hand_passes_over_the_markets_within_their_cooldown(
    house: House, logs: Logs
) -> None:
    async def markets() -> tuple[Market, ...]:
        return KRW_BTC, KRW_ETH

    trades_eth_too(house)
    await house.pipeline.trade(KRW_BTC)
    all_markets = AllMarkets(trade=house.pipeline.trade, markets=markets)
    all_markets.begin("manual")
    await all_markets.step()

    assert [signal.market for signal in house.signals.signals] == [KRW_BTC, KRW_ETH]
    assert house.signals.kept[2].trigger == "manual"
    (line,) = [line for line in logs.lines if "passed over" in line["message"]]
    assert (line["market"], line["level"], ceil(line["wait_s"])) == ("KRW-BTC", "INFO", 300)


async def test_each_round_has_the_trigger_it_began_with() -> None:
    trades = Trades()

    async def markets() -> tuple[Market, ...]:
        return (KRW_BTC,)

    all_markets = AllMarkets(trade=trades, markets=markets)
    for trigger in ("manual", "schedule"):
        all_markets.begin(trigger)
        await all_markets.step()

    assert trades.triggers == ["manual", "schedule"]


async def test_a_standby_makes_no_signals(house: House) -> None:
    house.lease.epoch = None
    await house.leadership.renew()

    with pytest.raises(NotLeader, match="does not hold the trading lease"):
        await house.pipeline.generate(KRW_BTC)

    assert house.model.asked == []


@pytest.mark.proves("S7.3")
async def test_the_model_is_told_nothing_about_money(house: House) -> None:
    house.exchange.available["KRW"] = Decimal("7654321.5")

    await house.pipeline.trade(KRW_BTC)

    (prompt, _) = house.model.asked[0]
    assert "7654321" not in prompt.system + prompt.facts
    assert "position_volume: 0\n" in prompt.facts


async def test_no_more_than_the_allowed_orders_are_placed_in_an_hour(house: House) -> None:
    await house.allow(max_orders_per_hour=2)

    for _ in range(4):
        await house.leadership.renew()
        await house.pipeline.trade(KRW_BTC)
        house.clock.pass_time(600)

    reasons = [getattr(made.verdict, "reason", None) for made in house.signals.decisions]
    assert reasons == [None, None, "order_rate", "order_rate"]


class Trades:
    """Stands for the pipeline; fails for the given markets."""

    def __init__(self, *failing: Market, error: Exception | None = None) -> None:
        self.failing = set(failing)
        self.error = error or ExchangeUnavailable("no answer")
        self.asked: list[str] = []
        self.triggers: list[Trigger] = []

    async def __call__(self, market: Market, *, trigger: Trigger) -> None:
        self.asked.append(market.base)
        self.triggers.append(trigger)
        if market in self.failing:
            raise self.error


async def test_one_markets_outage_keeps_no_other_from_trading_nor_trades_it_twice() -> None:
    btc, eth = KRW_BTC, Market("KRW", "ETH")
    trades = Trades(btc)

    async def markets() -> tuple[Market, ...]:
        return btc, eth

    all_markets = AllMarkets(trade=trades, markets=markets)
    for attempts in (2, 1):
        all_markets.begin("schedule")
        for _ in range(attempts):
            with pytest.raises(ExchangeUnavailable):
                await all_markets.step()

    assert trades.asked == ["BTC", "ETH", "BTC", "BTC", "ETH"]


@pytest.mark.parametrize("error", [ModelRefused("no"), DomainError("odd books")])
async def test_a_market_that_no_retry_can_mend_is_told_and_not_tried_again_in_its_round(
    error: Exception, logs: Logs
) -> None:
    trades = Trades(KRW_BTC, error=error)

    async def markets() -> tuple[Market, ...]:
        return KRW_BTC, Market("KRW", "ETH")

    all_markets = AllMarkets(trade=trades, markets=markets)
    all_markets.begin("schedule")
    with pytest.raises(type(error)):
        await all_markets.step()
    await all_markets.step()

    assert trades.asked == ["BTC", "ETH"]
    assert [line["market"] for line in logs.lines] == ["KRW-BTC"]


async def test_of_the_markets_failures_the_longest_wait_asked_for_is_told() -> None:
    waits = iter([None, 20.0, 5.0])

    async def trade(_: Market, *, trigger: Trigger) -> None:
        raise ExchangeUnavailable("no answer", retry_after_s=next(waits))

    async def markets() -> tuple[Market, ...]:
        return KRW_BTC, Market("KRW", "ETH"), Market("KRW", "XRP")

    all_markets = AllMarkets(trade=trade, markets=markets)
    all_markets.begin("schedule")

    with pytest.raises(ExchangeUnavailable) as caught:
        await all_markets.step()

    assert caught.value.retry_after_s == 20


@pytest.mark.parametrize("error", [ValueError("bug"), OverflowError("date value out of range")])
async def test_a_bug_about_one_market_is_that_markets(error: Exception, logs: Logs) -> None:
    trades = Trades(KRW_BTC, error=error)

    async def markets() -> tuple[Market, ...]:
        return KRW_BTC, KRW_ETH

    all_markets = AllMarkets(trade=trades, markets=markets)
    all_markets.begin("schedule")
    with pytest.raises(type(error)):
        await all_markets.step()
    await all_markets.step()

    assert trades.asked == ["BTC", "ETH"], "a bug is not tried again in the same pass"
    assert "ERROR" in logs.levels
