"""Checks during a fault, beyond health and log lines."""

import asyncio
import os
import resource
import signal
import time
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import aiohttp

from tests.faults.stack import Stack, descriptors
from tests.faults.waits import until

LONGEST_LINE: Final = 15 * 1024  #: bytes
_CAPITAL: Final = Decimal(10_000_000)
_ASIDE: Final = Decimal("1.05")  #: the capital moves with the market
_CROWD: Final = 60
#: How the API may refuse while a dependency is away.
STORE_AWAY: Final = frozenset({503, 504})


# --- the exchange ---------------------------------------------------------------------------------


async def a_wrong_clock_halts_purchases(stack: Stack, _: int) -> None:
    await stack.until_health(
        lambda _, body: (
            (body["trading"]["state"], body["trading"]["reason"]) == ("REDUCING", "clock_skew")
        ),
        "purchases are halted while the clocks differ",
    )


async def trading_goes_on(stack: Stack, _: int) -> None:
    await stack.until_health(
        lambda _, body: body["trading"]["state"] == "ACTIVE", "trading goes on by itself"
    )


async def asks_rarely(stack: Stack, _: int) -> None:
    """After a 429 no request of the group is sent for a second; two flows share it."""
    began = time.monotonic()
    (before,) = await stack.plan_seen()
    await asyncio.sleep(4)
    (after,) = await stack.plan_seen()
    spent_s = time.monotonic() - began

    assert after["hit"] - before["hit"] <= 3 * (spent_s + 1), "a group is asked again too soon"


async def sends_nothing_while_banned(stack: Stack, _: int) -> None:
    before = (await stack.plan_seen())[1]["hit"]
    await asyncio.sleep(3)
    after = (await stack.plan_seen())[1]["hit"]

    assert after == before, "something was sent during a ban, which makes it longer"


async def no_minute_is_missing(stack: Stack, _: int) -> None:
    """Every finished minute of the exchange is in our table with equal values."""
    wrong: list[str] = []

    async def look() -> bool:
        wrong[:] = await missing_minutes(stack)
        return not wrong

    try:
        await until(look, what="no minute is missing")
    except TimeoutError:
        raise AssertionError(f"{len(wrong)} minutes, e.g. {wrong[:5]}") from None


async def missing_minutes(stack: Stack) -> list[str]:
    async def page(query: str) -> Any:
        return await stack.sandbox.ask("GET", f"/v1/candles/minutes/1?market=KRW-BTC{query}")

    rows = await stack.sql(MINUTES)
    return await not_as_on_the_exchange({row["opened_at"]: row["close"] for row in rows}, page=page)


MINUTES: Final = "SELECT opened_at, close FROM candles WHERE timeframe = '1m'"


async def not_as_on_the_exchange(
    closes: Mapping[datetime, Decimal], *, page: Callable[[str], Awaitable[Any]]
) -> list[str]:
    """Return the finished minutes since our first one that our table lacks or has otherwise."""
    ours = {at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S"): c for at, c in closes.items()}
    first, newest = min(ours), max(ours)
    theirs: dict[str, Decimal] = {}
    to = ""
    while not theirs or min(theirs) > first:
        candles = await page(f"&count=200{to}")
        theirs |= {
            candle["candle_date_time_utc"]: Decimal(str(candle["trade_price"]))
            for candle in candles
        }
        to = f"&to={candles[-1]['candle_date_time_utc']}Z"
    # The newest one may be unfinished, or finished a moment ago.
    return sorted(
        at for at, close in theirs.items() if first <= at < newest and ours.get(at) != close
    )


# --- the model ------------------------------------------------------------------------------------


async def no_signal_is_made(stack: Stack, mark: int) -> None:
    before = await stack.count("trading_signals")
    calls = sum(line["event"] == "ai" for line in stack.service.log.since(mark))

    await stack.until_lines(
        mark,
        lambda lines: sum(line["event"] == "ai" for line in lines) >= calls + 2,
        "the model is asked again",
    )

    assert await stack.count("trading_signals") == before, "a signal was made of nothing"


async def orders_stay_within_the_limits(stack: Stack, _: int) -> None:
    (row,) = await stack.sql("SELECT max(funds) AS largest FROM orders WHERE side = 'BUY'")
    (held,) = await stack.sql("SELECT coalesce(sum(cost), 0) AS cost FROM positions")

    assert row["largest"] <= _CAPITAL * Decimal("0.03") * _ASIDE
    assert held["cost"] <= _CAPITAL * Decimal("0.20") * _ASIDE


async def hostile_words_stay_words(stack: Stack, mark: int) -> None:
    found: list[str] = []

    async def look() -> bool:
        page = await stack.service.get("/api/v1/signals", limit="5")
        found[:] = [s["reasoning"] for s in page["items"] if "<script>" in s["reasoning"]]
        return bool(found)

    await until(look, what="a hostile signal is shown")
    config = await stack.service.get("/api/v1/config/trading_enabled")
    changes = await stack.service.get("/api/v1/config/changes")
    unseen = {c for c in found[0] if unicodedata.category(c).startswith("C")}

    assert not unseen, "line breaks and direction overrides are taken out"
    assert config["value"] is True
    assert all("admin" in change["changed_by"] or change["changed_by"].startswith("system:")
               for change in changes["items"])  # fmt: skip
    await lines_stay_lines(stack, mark)


async def lines_stay_lines(stack: Stack, mark: int) -> None:
    """Reading the log has already shown that each line is UTF-8 and JSON."""
    stack.service.log.since(mark)

    assert stack.service.log.longest <= LONGEST_LINE


async def two_orders_an_hour_at_most(stack: Stack, mark: int) -> None:
    await stack.until_lines(
        mark,
        lambda lines: sum(line.get("reason") == "order_rate" for line in lines) >= 8,
        "orders are refused for their rate",
    )
    crowded = await stack.sql(
        """
        SELECT o.id
          FROM orders AS o
         WHERE o.created_at > (SELECT max(changed_at) + interval '1 minute'
                                 FROM config_changes
                                WHERE key = 'max_orders_per_hour')
           AND (SELECT count(*)
                  FROM orders AS earlier
                 WHERE earlier.created_at < o.created_at
                   AND earlier.created_at > o.created_at - interval '1 hour') >= 2
        """
    )

    assert crowded == [], "more orders in an hour than allowed"


# --- the database ---------------------------------------------------------------------------------


async def nothing_is_sent_without_a_database(stack: Stack, _: int) -> None:
    async def orders() -> int:
        return len((await stack.sandbox.ask("GET", "/__sandbox__/ledger"))["orders"])

    before = await orders()
    await asyncio.sleep(3)

    assert await orders() == before, "an order was sent that no row speaks for"


async def a_switch_turned_behind_our_back_holds(stack: Stack, _: int) -> None:
    """Another process switches trading off; no notification says so here."""
    off = "UPDATE system_configs SET value = 'false' WHERE key = 'trading_enabled'"
    await stack.sql(off)
    mark = stack.service.log.mark
    ordered = await stack.count("orders")

    def refused(lines: Sequence[Mapping[str, Any]]) -> bool:
        reasons = [line.get("reason") for line in lines if line.get("verdict") == "REFUSED"]
        return reasons.count("trading_enabled") >= 3

    await stack.until_lines(mark, refused, "signals are refused by the switch in the table")
    assert await stack.count("orders") == ordered, "an order followed the switch"
    await stack.sql(off.replace("false", "true"))


async def new_sessions_work(stack: Stack, mark: int) -> None:
    def ten_passes(lines: Sequence[Mapping[str, Any]]) -> bool:
        passes = [line for line in lines if line.get("job") == "collect_market_data"]
        return sum(line.get("success") is True for line in passes) >= 10

    await stack.until_lines(mark, ten_passes, "jobs go on with new sessions")


async def a_crowd_is_turned_away_and_health_answers(stack: Stack, _: int) -> None:
    """Readers have a sub-pool: their waits delay neither health nor orders."""

    async def visit(session: aiohttp.ClientSession) -> tuple[int, bool]:
        headers = {"Authorization": f"Bearer {stack.canaries.secrets['viewer']}"}
        url = f"{stack.service.address}/api/v1/market/latest"
        async with session.get(url, headers=headers) as answer:
            return answer.status, "Retry-After" in answer.headers

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        crowd = [asyncio.ensure_future(visit(session)) for _ in range(_CROWD)]
        await stack.until_health(
            lambda code, body: code == 200 and body["components"]["database"]["pool"]["free"] > 0,
            "health answers, and a connection is free",
        )
        answers = await asyncio.gather(*crowd)

    assert {status for status, _ in answers} <= STORE_AWAY
    assert any(status == 503 for status, _ in answers)
    assert all(says_when for status, says_when in answers if status == 503)


async def the_cuts_were_made(stack: Stack, _: int) -> None:
    cut = stack.proxy.cut
    assert cut is not None

    async def look() -> bool:
        return not cut.left

    await until(look, what="the connection was cut at the word")


# --- the process ----------------------------------------------------------------------------------


def stands_still(seconds: float) -> Callable[[Stack], AbstractAsyncContextManager[None]]:
    """Stop the service for so long, with a health check waiting."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        url = f"{stack.service.address}/health/detailed"
        async with aiohttp.ClientSession() as session:
            async with session.get(url) as warm:  # the connection stands before the stop
                await warm.read()
            os.kill(stack.service.pid, signal.SIGSTOP)
            waiting = asyncio.ensure_future(session.get(url))
            try:
                await asyncio.sleep(seconds)
                yield
            finally:
                os.kill(stack.service.pid, signal.SIGCONT)
            async with await waiting as answer:
                stack.told = (answer.status, await answer.json())

    return injected


def stood_still(seconds: float) -> Callable[[Stack], AbstractAsyncContextManager[None]]:
    """Stop the service for so long, then continue it for the checks that follow."""

    @asynccontextmanager
    async def injected(stack: Stack) -> AsyncIterator[None]:
        os.kill(stack.service.pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            os.kill(stack.service.pid, signal.SIGCONT)
        yield

    return injected


async def the_standstill_was_told(stack: Stack, _: int) -> None:
    """The findings are stale after the standstill, and the first answer says so."""
    status, body = stack.told

    assert status == 503
    assert body["components"]["database"]["reason"] == "prober_stalled"


@asynccontextmanager
async def few_descriptors(stack: Stack) -> AsyncIterator[None]:
    pid = stack.service.pid
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (descriptors(pid) + 4, before[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


async def callers_find_no_descriptor(stack: Stack, mark: int) -> None:
    host, port = stack.service.address.removeprefix("http://").split(":")
    callers = [await asyncio.open_connection(host, int(port)) for _ in range(40)]
    try:
        await stack.until_lines(
            mark,
            lambda lines: any("accept" in line["message"] for line in lines),
            "the log says that nobody can be let in",
        )
    finally:
        for _, writer in callers:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
