"""Returns, drawdown without deposits, and the account's days: against a fold without any SQL."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import ROUND_HALF_UP, Decimal, localcontext
from typing import Any

import pytest

from service.domain.account import NewDeposit
from service.domain.markets import Market
from service.domain.orders import Side
from service.domain.trading_states import HaltKind, TradingStatus
from service.ports.queries import PageKey
from service.store.database.pool import Pool
from service.store.queries.portfolio import PgPortfolio
from service.store.tables.account import PgAccountBooks
from service.store.tables.equity import PgEquities
from service.store.tables.trading_state import PgTradingState
from tests.builders import KRW_BTC, T0, a_fill, an_equity
from tests.integration.store.seeds import a_stored_order, execute, filled, rows

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
KST = timezone(timedelta(hours=9))
MIDNIGHT = datetime(2026, 1, 23, 15, tzinfo=UTC)  #: of the 24th in Seoul
ZERO = Decimal(0)
HALTS: Sequence[HaltKind] = (TradingStatus.REDUCING, TradingStatus.HALTED)
MARGIN = Decimal("2E-8")  #: a ratio is rounded to eight decimals; scaling rounds once more


async def summary(pool: Pool, now: datetime, *days: int, quote: str = "KRW") -> Any:
    return json.loads(await PgPortfolio(pool).summary(quote=quote, now=now, days=days))


async def curve(pool: Pool, since: datetime, until: datetime, points: int = 500) -> Any:
    asked = {"since": since, "until": until, "points": points}
    return json.loads(await PgPortfolio(pool).equity(quote="KRW", **asked))  # type: ignore[arg-type]


async def days_of(pool: Pool, now: datetime, *, limit: int = 500, quote: str = "KRW") -> list[Any]:
    page = await PgPortfolio(pool).days(quote=quote, now=now, limit=limit)
    return json.loads(page.items)  # type: ignore[no-any-return]


async def snapshot(pool: Pool, at: datetime, value: Decimal | int) -> None:
    await PgEquities(pool).add([an_equity(cash=Decimal(value))], at=at)


async def deposit(
    pool: Pool, amount: Decimal | int, at: datetime, *, currency: str = "KRW"
) -> None:
    told = NewDeposit(currency=currency, amount=Decimal(amount), at=at, note="", actor="test")
    await PgAccountBooks(pool).add(told)


async def bought(pool: Pool, name: str, at: datetime, *, funds: int = 100_000) -> None:
    order = await a_stored_order(pool, name, funds=Decimal(funds))
    await filled(pool, order, a_fill(trade_uuid=f"t-{name}", funds=Decimal(funds), traded_at=at))


async def sold(pool: Pool, name: str, at: datetime, *, funds: int) -> None:
    coins = Decimal("0.001")
    order = await a_stored_order(pool, name, side=Side.SELL, funds=None, volume=coins)
    await filled(pool, order, a_fill(trade_uuid=f"t-{name}", funds=Decimal(funds), traded_at=at))


# --- an account of its own, folded minute by minute ---------------------------------------------


@dataclass(slots=True)
class Account:
    """A history in memory, without SQL and without the service's functions."""

    minutes: list[tuple[datetime, Decimal]] = field(default_factory=list)
    deposits: list[tuple[datetime, Decimal]] = field(default_factory=list)
    trades: list[tuple[datetime, Side, Decimal, Decimal]] = field(default_factory=list)
    halts: list[tuple[datetime, datetime | None, HaltKind, str]] = field(default_factory=list)

    def between(self, since: datetime, until: datetime) -> list[tuple[datetime, Decimal]]:
        return [(at, value) for at, value in self.minutes if since <= at < until]

    def start_of(self, day: date) -> Decimal | None:
        begins = datetime(day.year, day.month, day.day, tzinfo=KST)
        before = [value for at, value in self.minutes if at < begins]
        within = self.between(begins, begins + DAY)
        return before[-1] if before else within[0][1] if within else None

    def end_of(self, day: date) -> Decimal | None:
        begins = datetime(day.year, day.month, day.day, tzinfo=KST)
        within = self.between(begins, begins + DAY)
        return within[-1][1] if within else None

    def units(self) -> dict[datetime, Decimal]:
        """Return a unit of a fund by minute: a deposit buys units at their value, unchanged.

        Of the minutes in which a deposit came only the end counts.
        """
        found, units, value_before = {}, Decimal(1), ZERO
        waiting = sorted(self.deposits)
        with localcontext(prec=60):
            for at, value in self.minutes:
                while waiting and waiting[0][0] <= at:
                    units *= (value_before + waiting[0][1]) / value_before
                    value_before += waiting.pop(0)[1]
                if any(flow - 5 * MINUTE <= at < flow for flow, _ in self.deposits):
                    continue
                value_before = value
                found[at] = value / units
        return found

    def drawdown(self, since: datetime) -> Decimal:
        deepest = peak = ZERO
        for at, unit in self.units().items():
            if at >= since:
                peak = max(peak, unit)
                deepest = max(deepest, 1 - unit / peak)
        return deepest


@dataclass(slots=True)
class Sums:
    """Of some days."""

    realised: Decimal = ZERO
    fees: Decimal = ZERO
    cost_sold: Decimal = ZERO
    fills: int = 0
    wins: int = 0
    losses: int = 0


def folded(account: Account, since: date, until: date) -> Sums:
    """Fold all trades by average cost; add up those of the days from `since` to `until`."""
    sums, volume, cost = Sums(), ZERO, ZERO
    for at, side, funds, fee in account.trades:
        coins = Decimal("0.001")
        if side is Side.BUY:
            volume, cost, earned, part = volume + coins, cost + funds, -fee, ZERO
        else:
            part = (cost * coins / volume).quantize(Decimal("1E-12"))
            part = cost if coins == volume else part
            volume, cost, earned = volume - coins, cost - part, funds - part - fee
        if since <= at.astimezone(KST).date() <= until:
            sums.realised, sums.fees = sums.realised + earned, sums.fees + fee
            # What the sales cost, with the fees of purchases: they are no proceeds of a sale.
            sums.cost_sold += part
            sums.fills += 1
            if side is Side.SELL:
                sums.wins, sums.losses = sums.wins + (earned > 0), sums.losses + (earned < 0)
    return sums


def a_history(seed: int) -> Account:
    """Five days, begun in the middle of one, with a position; some days without trades."""
    chance, account = random.Random(seed), Account()
    start, value, held = MIDNIGHT + 7 * HOUR, Decimal(10_000_000), 0
    quiet = chance.randrange(1, 4)
    for n in range(5 * 24 * 60 // 7):
        at = start + 7 * n * MINUTE
        if chance.random() < 0.01:
            share = Decimal(chance.choice(("-0.6", "-0.2", "0.3", "2")))
            amount = (value * share).quantize(Decimal("1E-4"))
            account.deposits.append((at, amount))
            value += amount
        value = (value * Decimal(f"{chance.uniform(0.99, 1.0102):.6f}")).quantize(Decimal("1E-8"))
        if chance.random() > 0.02:
            account.minutes.append((at, value))
        if (
            at.astimezone(KST).date() - start.astimezone(KST).date()
        ).days != quiet and chance.random() < 0.03:
            side = Side.SELL if held and chance.random() < 0.5 else Side.BUY
            held += 1 if side is Side.BUY else -1
            funds = Decimal(chance.randrange(90_000, 110_000))
            account.trades.append((at, side, funds, funds * Decimal("0.0005")))
        if chance.random() < 0.004:
            until = at + timedelta(minutes=chance.randrange(1, 3_000))
            kind = chance.choice(HALTS)
            account.halts.append((at, until, kind, f"reason-{n}"))
    return account


async def store(pool: Pool, account: Account) -> None:
    for at, value in account.minutes:
        await snapshot(pool, at, value)
    for at, amount in account.deposits:
        await deposit(pool, amount, at)
    for n, (at, side, funds, fee) in enumerate(account.trades):
        is_buy = side is Side.BUY
        order = await a_stored_order(
            pool,
            f"uat-{n}",
            side=side,
            funds=funds if is_buy else None,
            volume=None if is_buy else Decimal("0.001"),
        )
        fill = a_fill(trade_uuid=f"t-{n}", funds=funds, fee=fee, traded_at=at)
        await filled(pool, order, fill)
    states = PgTradingState(pool)
    for since, until, kind, reason in account.halts:
        asked = {"reason": reason, "actor": "test", "detail": {}}
        await states.halt(kind=kind, at=since, **asked)  # type: ignore[arg-type]
        if until is not None:
            await states.resume(at=until, **asked)  # type: ignore[arg-type]


@pytest.fixture(params=range(4))
async def account(request: pytest.FixtureRequest, pool: Pool) -> Account:
    history = a_history(request.param)
    await store(pool, history)
    return history


@pytest.mark.proves("FR-006")
async def test_returns_and_drawdown_are_what_a_fold_of_the_history_says(
    pool: Pool, account: Account
) -> None:
    now = account.minutes[-1][0] + MINUTE
    today = now.astimezone(KST).date()

    told = await summary(pool, now, 1, 3, 7)

    first_at, first = account.minutes[0]
    total = first + sum((amount for at, amount in account.deposits if at > first_at), ZERO)
    assert Decimal(told["total_deposits"]) == total
    assert Decimal(told["cumulative_return_ratio"]) == ratio(account.minutes[-1][1] - total, total)
    for period in told["periods"]:
        check_period(period, account, today)


def check_period(period: Any, account: Account, today: date) -> None:
    first_day = today - (period["days"] - 1) * DAY
    begins = datetime(first_day.year, first_day.month, first_day.day, tzinfo=KST)
    sums, start = folded(account, first_day, today), account.start_of(first_day)
    if start is None:
        start = account.minutes[0][1]

    assert abs(Decimal(period["max_drawdown_ratio"]) - account.drawdown(begins)) <= MARGIN
    assert Decimal(period["start_equity"]) == start
    assert Decimal(period["deposits"]) == sum(
        (a for at, a in account.deposits if at >= begins), ZERO
    )
    assert Decimal(period["realised_pnl"]) == sums.realised
    assert Decimal(period["return_ratio"]) == ratio(sums.realised, start)
    assert Decimal(period["cost_sold"]) == sums.cost_sold
    assert optional(period["average_return_ratio"]) == ratio(sums.realised, sums.cost_sold)
    assert (period["wins"], period["losses"]) == (sums.wins, sums.losses)
    assert optional(period["win_rate"]) == ratio(
        Decimal(sums.wins), Decimal(sums.wins + sums.losses)
    )


@pytest.mark.proves("FR-006")
async def test_no_point_of_the_curve_shows_a_deposit_as_a_gain(
    pool: Pool, account: Account
) -> None:
    """Windows by the minute and by the hour, each as units of a fund followed it."""
    first, last = account.minutes[0][0], account.minutes[-1][0] + MINUTE
    for since, until in (
        (first, last),
        (first + 31 * HOUR, last - 5 * HOUR),
        (first - 8 * DAY, last),
        (first + 50 * HOUR + 20 * MINUTE, last + 8 * DAY),
    ):
        await check_curve(pool, account, since, until)


async def check_curve(pool: Pool, account: Account, since: datetime, until: datetime) -> None:
    units = account.units()
    inside = [value for at, value in units.items() if since <= at < until]

    body = await curve(pool, since, until)

    deepest = max(1 - value / max(inside[: n + 1]) for n, value in enumerate(inside))
    assert abs(Decimal(body["max_drawdown_ratio"]) - deepest) <= MARGIN
    assert len(body["items"]) > 5
    for point in body["items"]:
        at = datetime.fromisoformat(point["at"])
        seen = [value for when, value in units.items() if since <= when <= at] or [Decimal(1)]
        assert abs(Decimal(point["return_ratio"]) - (seen[-1] / seen[0] - 1)) <= MARGIN
        assert Decimal(point["deposits"]) == sum(
            (
                amount
                for flow, amount in account.deposits
                if flow > since and (flow - 5 * MINUTE if amount > 0 else flow) <= at
            ),
            ZERO,
        )


async def test_a_deposit_and_a_withdrawal_leave_return_and_drawdown_of_the_curve_alone(
    pool: Pool,
) -> None:
    """Each detected two minutes after the account showed it."""
    values = {0: 1_000, 8: 3_000, 9: 3_000, 10: 3_000, 15: 3_300, 28: 300, 30: 300, 31: 270}
    for minute, value in values.items():
        await snapshot(pool, T0 + minute * MINUTE, value)
    await execute(pool, A_DETECTED, {"amount": 2_000, "at": T0 + 10 * MINUTE})
    await execute(pool, A_DETECTED, {"amount": -3_000, "at": T0 + 30 * MINUTE})

    by_minute = await curve(pool, T0, T0 + HOUR)
    by_hour = await curve(pool, T0 - 8 * DAY, T0 + HOUR)

    points = by_minute["items"]
    returns = [point["return_ratio"] for point in points]
    assert returns == ["0", "0", "0", "0", "0.1", "0.1", "0.1", "-0.01"]
    amounts = [(point["equity"], point["deposits"]) for point in points]
    assert amounts[:2] == [("1000", "0"), ("3000", "2000")]
    assert amounts[-1] == ("270", "-1000")
    for body in (by_minute, by_hour):
        assert body["max_drawdown_ratio"] == "0.1"
        assert body["items"][-1]["return_ratio"] == "-0.01"


async def test_the_drawdown_of_each_point_is_without_deposits(pool: Pool) -> None:
    for n, value in enumerate((1_000, 900)):
        await snapshot(pool, T0 + 10 * n * MINUTE, value)
    await deposit(pool, 900, T0 + 20 * MINUTE)
    await snapshot(pool, T0 + 20 * MINUTE, 1_800)

    points = (await curve(pool, T0, T0 + HOUR))["items"]

    assert [point["drawdown_ratio"] for point in points] == ["0", "0.1", "0.1"]


A_DETECTED = """
    INSERT INTO deposits (currency, amount, at, source, actor, seen_at)
    VALUES ('KRW', %(amount)s, %(at)s, 'detected', 'system:account', %(at)s)
"""


def ratio(part: Decimal, whole: Decimal) -> Decimal | None:
    return (part / whole).quantize(Decimal("1E-8"), ROUND_HALF_UP) if whole else None


def optional(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


@pytest.mark.proves("FR-006")
async def test_each_day_is_what_a_fold_of_the_history_says(pool: Pool, account: Account) -> None:
    now = account.minutes[-1][0] + MINUTE

    told = await days_of(pool, now)

    first, today = (at.astimezone(KST).date() for at in (account.minutes[0][0], now))
    listed = [date.fromisoformat(day["day"]) for day in told]
    assert listed == [today - n * DAY for n in range((today - first).days + 1)]
    assert any(not day["fills"] for day in told), "a day without trades is a day"
    for item, day in zip(told, listed, strict=True):
        check_day(item, account, day)


def check_day(item: Any, account: Account, day: date) -> None:
    begins = datetime(day.year, day.month, day.day, tzinfo=KST)
    ends, sums, start = begins + DAY, folded(account, day, day), account.start_of(day)
    stood = [
        {"kind": kind.value, "market": None, "reason": reason}
        for since, until, kind, reason in sorted(account.halts, key=lambda halt: halt[0])
        if since < ends and (until is None or until >= begins)
    ]
    assert start is not None
    assert Decimal(item["start_equity"]) == start
    assert optional(item["end_equity"]) == account.end_of(day)
    assert Decimal(item["deposits"]) == sum(
        (amount for at, amount in account.deposits if begins <= at < ends), ZERO
    )
    assert Decimal(item["realised_pnl"]) == sums.realised
    assert Decimal(item["return_ratio"]) == ratio(sums.realised, start)
    assert Decimal(item["fees"]) == sums.fees
    assert (item["fills"], item["wins"], item["losses"]) == (sums.fills, sums.wins, sums.losses)
    assert item["halts"] == stood
    assert item["halted"] == any(halt["kind"] == "HALTED" for halt in stood)


# --- deposits -----------------------------------------------------------------------------------


async def test_a_withdrawal_is_no_loss_and_a_deposit_hides_none(pool: Pool) -> None:
    for n, value in enumerate((1_000, 900, 900)):
        await snapshot(pool, T0 + 10 * n * MINUTE, value)
    await deposit(pool, -450, T0 + 30 * MINUTE)
    await snapshot(pool, T0 + 30 * MINUTE, 450)
    await deposit(pool, 550, T0 + 40 * MINUTE)
    await snapshot(pool, T0 + 40 * MINUTE, 1_000)
    await snapshot(pool, T0 + 50 * MINUTE, 900)

    told = await summary(pool, T0 + HOUR, 1)

    # A tenth before the deposits, and a tenth of what was left after them.
    assert Decimal(told["periods"][0]["max_drawdown_ratio"]) == Decimal("0.19")
    assert (told["total_deposits"], told["cumulative_return_ratio"]) == ("1100", "-0.18181818")


async def test_a_withdrawal_that_is_detected_two_minutes_later_is_no_loss(pool: Pool) -> None:
    for n, value in enumerate((1_000, 1_000, 400, 400, 400)):
        await snapshot(pool, T0 + n * MINUTE, value)
    await execute(pool, DETECTED, {"at": T0 + 4 * MINUTE})

    told = await summary(pool, T0 + HOUR, 1)

    assert told["periods"][0]["max_drawdown_ratio"] == "0"
    assert told["cumulative_return_ratio"] == "0"


DETECTED = """
    INSERT INTO deposits (currency, amount, at, source, actor, seen_at)
    VALUES ('KRW', -600, %(at)s, 'detected', 'system:account', %(at)s)
"""


async def test_deposits_within_minutes_of_each_other_count_together(pool: Pool) -> None:
    for n, value in enumerate((1_000, 1_000, 400, 900, 900, 900)):
        await snapshot(pool, T0 + n * MINUTE, value)
    await execute(pool, DETECTED, {"at": T0 + 4 * MINUTE})
    await deposit(pool, 500, T0 + 5 * MINUTE)
    await snapshot(pool, T0 + 6 * MINUTE, 810)

    told = await summary(pool, T0 + HOUR, 1)

    assert told["periods"][0]["max_drawdown_ratio"] == "0.1"
    assert told["total_deposits"] == "900"


async def test_a_deposit_that_was_told_of_before_it_came_counts_when_it_came(pool: Pool) -> None:
    """Told with the bank's instant; the account showed it an hour later."""
    values = (1_000, 1_000, 990, 4_000, 3_960)
    for n, value in enumerate(values):
        await snapshot(pool, T0 + n * HOUR / 2, value)
    await deposit(pool, 3_000, T0 + 20 * MINUTE)
    await execute(pool, "UPDATE deposits SET seen_at = at + interval '70 minutes'")

    told = await summary(pool, T0 + 3 * HOUR, 1)

    # From 1,000 with 3,000 to 4,000, and a hundredth less after that.
    assert told["periods"][0]["max_drawdown_ratio"] == "0.01"
    assert told["cumulative_return_ratio"] == "-0.01"


async def test_after_everything_was_withdrawn_a_new_curve_begins(pool: Pool) -> None:
    await snapshot(pool, T0, 1_000)
    await deposit(pool, -1_000, T0 + 10 * MINUTE)
    await snapshot(pool, T0 + 10 * MINUTE, 0)
    await deposit(pool, 500, T0 + 20 * MINUTE)
    await snapshot(pool, T0 + 20 * MINUTE, 500)
    await snapshot(pool, T0 + 30 * MINUTE, 400)

    told = await summary(pool, T0 + HOUR, 1)

    assert told["periods"][0]["max_drawdown_ratio"] == "0.2"
    assert (told["total_deposits"], told["cumulative_return_ratio"]) == ("500", "-0.2")


async def test_coins_that_came_count_at_their_price_of_then(pool: Pool) -> None:
    await snapshot(pool, T0, 1_000)
    await execute(pool, TWO_CANDLES, {"at": T0})
    await deposit(pool, 2, T0 + 30 * MINUTE, currency="BTC")
    await deposit(pool, 7, T0 + 30 * MINUTE, currency="DOGE")  # not collected: in no equity
    await snapshot(pool, T0 + 30 * MINUTE, 1_200)

    told = await summary(pool, T0 + HOUR, 1)
    (day,) = await days_of(pool, T0 + HOUR)

    assert (told["total_deposits"], told["cumulative_return_ratio"]) == ("1200", "0")
    assert (told["periods"][0]["deposits"], day["deposits"]) == ("200", "200")
    assert told["periods"][0]["max_drawdown_ratio"] == "0"


TWO_CANDLES = """
    INSERT INTO candles (market, timeframe, opened_at, open, high, low, close, volume, funds)
    SELECT 'KRW-BTC', '1m', %(at)s::timestamptz + n * interval '20 minutes', 100, 900, 50,
           100 + n * 150, 1, 100
      FROM generate_series(0, 2, 2) AS n
"""


async def test_money_that_was_there_before_the_first_snapshot_counts_once(pool: Pool) -> None:
    await deposit(pool, 400, T0 - HOUR)
    await snapshot(pool, T0, 1_000)

    assert (await summary(pool, T0 + HOUR, 1))["total_deposits"] == "1000"


async def test_without_deposits_or_money_no_ratio_is_claimed(pool: Pool) -> None:
    nothing = await summary(pool, T0, 1)
    await snapshot(pool, T0, 0)
    empty = await summary(pool, T0 + MINUTE, 1)
    (day,) = await days_of(pool, T0 + MINUTE)

    assert (nothing["total_deposits"], nothing["cumulative_return_ratio"]) == (None, None)
    assert (empty["total_deposits"], empty["cumulative_return_ratio"]) == ("0", None)
    for told in (empty["periods"][0], day):
        assert (told["return_ratio"], told["win_rate"], told["deposits"]) == (None, None, "0")
    assert empty["periods"][0]["average_return_ratio"] is None


async def test_the_average_return_is_what_sales_earned_on_what_they_cost(pool: Pool) -> None:
    await bought(pool, "uat-1", T0)
    await sold(pool, "uat-2", T0 + MINUTE, funds=110_100)

    (today,) = (await summary(pool, T0 + HOUR, 1))["periods"]

    assert (today["realised_pnl"], today["cost_sold"]) == ("10000", "100000")
    assert today["average_return_ratio"] == "0.1"


# --- days ---------------------------------------------------------------------------------------


async def test_before_anything_happened_there_is_no_day(pool: Pool) -> None:
    assert await days_of(pool, T0) == []


async def test_days_of_a_fill_without_snapshots_claim_no_equity(pool: Pool) -> None:
    await bought(pool, "uat-1", T0)

    today, before = await days_of(pool, T0 + DAY)

    assert (before["fills"], before["fees"], before["realised_pnl"]) == (1, "50", "-50")
    assert {today["start_equity"], today["end_equity"], before["start_equity"]} == {None}
    assert (today["fills"], today["halts"], today["halted"]) == (0, [], False)


async def test_a_day_without_snapshots_begins_with_the_last_one_and_has_no_end(pool: Pool) -> None:
    await snapshot(pool, MIDNIGHT - MINUTE, 700)
    await snapshot(pool, MIDNIGHT + DAY, 800)

    last, between, first = await days_of(pool, MIDNIGHT + DAY + HOUR)

    balances = [(day["start_equity"], day["end_equity"]) for day in (first, between, last)]
    assert balances == [("700", "700"), ("700", None), ("700", "800")]


async def test_the_accounts_days_come_in_pages_without_a_gap(pool: Pool) -> None:
    await snapshot(pool, T0 - 6 * DAY, 1)
    seen: list[str] = []
    last: PageKey | None = None
    while True:
        page = await PgPortfolio(pool).days(quote="KRW", now=T0, limit=3, before=last)
        seen += [day["day"] for day in json.loads(page.items)]
        if (last := page.last) is None:
            break

    assert seen == [f"{T0.astimezone(KST).date() - n * DAY}" for n in range(7)]


async def test_a_days_sums_are_those_of_its_quote(pool: Pool) -> None:
    other = await a_stored_order(pool, "uat-1", market=Market("BTC", "XRP"))
    await filled(pool, other, a_fill(traded_at=T0))

    assert await days_of(pool, T0) == []
    (day,) = await days_of(pool, T0, quote="BTC")
    assert day["fills"] == 1


async def test_a_halt_belongs_to_every_day_on_which_it_stood(pool: Pool) -> None:
    await snapshot(pool, MIDNIGHT - DAY, 1)
    states = PgTradingState(pool)
    asked: dict[str, Any] = {"reason": "reconcile_mismatch", "actor": "system", "detail": {}}
    await states.halt(kind=TradingStatus.REDUCING, at=MIDNIGHT - HOUR, market=KRW_BTC, **asked)
    await states.halt(kind=TradingStatus.HALTED, at=MIDNIGHT + 30 * HOUR, **asked)

    days = await days_of(pool, MIDNIGHT + 50 * HOUR)

    one = {"kind": "REDUCING", "market": "KRW-BTC", "reason": "reconcile_mismatch"}
    all_of_them = {"kind": "HALTED", "market": None, "reason": "reconcile_mismatch"}
    assert [day["halts"] for day in days[::-1]] == [
        [one], [one], [one, all_of_them], [one, all_of_them],
    ]  # fmt: skip
    assert [day["halted"] for day in days[::-1]] == [False, False, True, True]
    assert len(await rows(pool, "SELECT FROM trading_halts")) == 2
