"""What brings the service to each crash point, and what is found when it has died there."""

import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import aiohttp

from service.adapters.upbit.rest import UpbitRest
from service.crashpoints import CrashPoint
from service.domain.markets import Market
from service.domain.orders import IDENTIFIER_PREFIX, Intent, OrderType, Side
from tests.faults.crash_stack import MARKETS, RECKLESS, CrashStack
from tests.faults.waits import until

Step = Callable[[CrashStack], Awaitable[None]]


async def nothing(_: CrashStack) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """Attributes:
    prepare: while the service that nothing has armed still runs.
    behind: while no service runs, just before the armed one starts.
    provoke: on the armed process, which need not be ready yet; most trade by themselves.
    left: looks at what the dead process has left.
    ends: on the next process: sees how it ends, and does what an operator has to do.
    hit: the arrival at which the process dies.
    lease_runs_out: the next process waits for the dead one's lease, ten seconds.
    restarts: without it the next crash follows at once; `ends` is for the last of them.
    """

    point: CrashPoint
    left: Step
    prepare: Step = nothing
    behind: Step = nothing
    provoke: Step = nothing
    ends: Step = nothing
    hit: int = 1
    lease_runs_out: bool = False
    restarts: bool = True


# --- orders ---------------------------------------------------------------------------------------

_NEWEST: Final = """
    SELECT o.*, (SELECT count(*) FROM fills WHERE order_id = o.id) AS fills
      FROM orders AS o
     ORDER BY id DESC
     LIMIT 1
"""


async def reckless(stack: CrashStack) -> None:
    """Have the model buy whenever it is asked."""
    await stack.plan(RECKLESS)


async def newest_order(stack: CrashStack) -> dict[str, Any]:
    (row,) = await stack.sql(_NEWEST)
    return row


def order_left(status: str, *, arrives: bool, fills: int = 0) -> Step:
    """Return what looks for the newest order so, and for it at the exchange."""

    async def look(stack: CrashStack) -> None:
        row = await newest_order(stack)
        assert (row["status"], min(row["fills"], 1)) == (status, fills), row
        stack.order_left = row["identifier"]

        async def known() -> bool:
            return await stack.knows(row["identifier"])

        if arrives:
            await until(known, what="the request reaches the exchange")
        else:
            assert not await known()

    return look


def order_ends(status: str, *, reason: str | None = None, patience_s: float = 150) -> Step:
    async def see(stack: CrashStack) -> None:
        async def look() -> bool:
            rows = await stack.sql(
                "SELECT id FROM orders WHERE status IN ('PENDING', 'UNKNOWN', 'SUBMITTED')"
                f" AND identifier = '{stack.order_left}'"
            )
            return not rows

        await until(look, what="the order's fate is known", patience_s=patience_s)
        (row,) = await stack.sql(
            f"SELECT status, reason FROM orders WHERE identifier = '{stack.order_left}'"
        )
        assert (row["status"], row["reason"]) == (status, reason), row

    return see


async def undecided(stack: CrashStack) -> None:
    (row,) = await stack.sql(
        "SELECT count(*) AS n FROM trading_signals AS s"
        " WHERE NOT EXISTS (SELECT FROM decisions WHERE signal_id = s.id)"
    )
    assert row["n"] == 1


async def allowed_without_order(stack: CrashStack) -> None:
    (row,) = await stack.sql(
        "SELECT d.verdict, o.id, e.id AS event FROM decisions AS d"
        "  LEFT JOIN orders AS o ON o.decision_id = d.id"
        "  LEFT JOIN risk_events AS e ON e.decision_id = d.id"
        " ORDER BY d.id DESC LIMIT 1"
    )
    assert (row["verdict"], row["id"], row["event"]) == ("ALLOWED", None, None), row


async def both_not_placed(stack: CrashStack) -> None:
    """Wait two minutes without a crash: then both orders are known never to have arrived."""
    await order_ends("FAILED", reason="not_placed", patience_s=300)(stack)

    async def look() -> bool:
        rows = await stack.sql("SELECT id FROM orders WHERE reason = 'not_placed'")
        return len(rows) == 2

    await until(look, what="the other order is given up too")


# --- cancels and look-ups -------------------------------------------------------------------------


async def cancels(stack: CrashStack) -> None:
    await stack.service.ready()
    await stack.until_it_trades()
    order = await stack.place_limit(MARKETS[0])
    await stack.act_cut(f"trading/orders/{order}/cancel", {})


async def cancel_left(stack: CrashStack) -> None:
    row = await newest_order(stack)
    assert row["status"] == "SUBMITTED", row

    async def look() -> bool:
        orders = (await stack.ledger())["orders"]
        return any(
            order["identifier"] == row["identifier"] and order["state"] == "cancel"
            for order in orders
        )

    await until(look, what="the cancellation reaches the exchange")


async def limits_cancelled(stack: CrashStack) -> None:
    async def look() -> bool:
        rows = await stack.sql("SELECT status FROM orders WHERE type = 'LIMIT'")
        return {row["status"] for row in rows} == {"CANCELLED"}

    await until(look, what="the limit orders are cancelled")


async def two_limits(stack: CrashStack) -> None:
    for market in MARKETS:
        await stack.place_limit(market)


async def two_open(stack: CrashStack) -> None:
    rows = await stack.sql(
        "SELECT status FROM orders WHERE type = 'LIMIT' ORDER BY id DESC LIMIT 2"
    )
    assert [row["status"] for row in rows] == ["SUBMITTED"] * 2


async def cancel_both(stack: CrashStack) -> None:
    rows = await stack.sql("SELECT id FROM orders WHERE status = 'SUBMITTED' AND type = 'LIMIT'")
    assert len(rows) == 2
    for row in rows:
        status, body = await stack.act(f"trading/orders/{row['id']}/cancel", {})
        assert status == 202, body
    await limits_cancelled(stack)


async def order_without_a_row(stack: CrashStack) -> None:
    """Send an order under our prefix past the service, as if the commit of its row were lost."""
    keys = stack.canaries.secrets
    address = stack.sandbox.ready_line["upbit_rest"]
    market, funds = Market.parse(MARKETS[0]), Decimal(20_000)
    async with aiohttp.ClientSession() as session:
        upbit = UpbitRest(
            session,
            quotation_url=address,
            exchange_url=address,
            access_key=keys["access"],
            secret_key=keys["secret"],
        )
        await upbit.submit(
            Intent(market=market, side=Side.BUY, type=OrderType.MARKET, funds=funds),
            identifier=f"{IDENTIFIER_PREFIX}{uuid4()}",
            before_send=lambda: None,
        )


async def adopted(stack: CrashStack) -> None:
    row = await newest_order(stack)
    assert (row["status"], row["origin"], row["fills"]) == ("UNKNOWN", "RECOVERED", 0), row
    stack.order_left = row["identifier"]


async def recovered(stack: CrashStack) -> None:
    await order_ends("EXECUTED", reason="recovered")(stack)
    _, body = await stack.service.ask("GET", "/api/v1/risk/status")
    assert [halt["reason"] for halt in body["halts"]] == ["order_recovered"]
    await stack.resume()


# --- alerts and halts -----------------------------------------------------------------------------


async def halts(stack: CrashStack) -> None:
    await stack.service.ready()
    await stack.until_it_trades()
    await stack.act_cut("risk/halt", {"reason": f"crash test {stack.crashes}", "protection": False})


async def halts_and_is_told(stack: CrashStack) -> None:
    await stack.service.ready()
    await stack.until_it_trades()
    status, body = await stack.act("risk/halt", {"reason": f"crash test {stack.crashes}"})
    assert status == 200, body


def alert_left(*, receipt: bool) -> Step:
    async def look(stack: CrashStack) -> None:
        (row,) = await stack.sql(
            "SELECT state, delivered_to, title FROM alerts WHERE key LIKE 'trading:%'"
            " ORDER BY id DESC LIMIT 1"
        )
        assert (row["state"], bool(row["delivered_to"])) == ("SENDING", receipt), row
        assert stack.hook.titles[-1].endswith(row["title"])

    return look


async def resumed(stack: CrashStack) -> None:
    await stack.resume()


def halt_left(*, stored: bool) -> Step:
    async def look(stack: CrashStack) -> None:
        rows = await stack.sql("SELECT reason FROM trading_halts WHERE ended_at IS NULL")
        assert bool(rows) == stored, rows
        stack.posts_left = len(await stack.posted())

    return look


async def still_halted(stack: CrashStack) -> None:
    """I13: the model buys all the time, and no order leaves until an operator resumes."""
    await stack.plan(RECKLESS)
    _, body = await stack.service.ask("GET", "/api/v1/risk/status")
    assert body["state"] == "HALTED", body
    (newest,) = await stack.sql("SELECT coalesce(max(id), 0) AS id FROM decisions")

    async def look() -> bool:
        rows = await stack.sql(f"SELECT verdict FROM decisions WHERE id > {newest['id']}")
        return [row["verdict"] for row in rows].count("REFUSED") >= 4

    await until(look, what="signals are refused while trading is halted")
    assert len(await stack.posted()) == stack.posts_left, "I13: an order left after the halt"
    await stack.clear_plan()
    await stack.resume()


# --- lease, migrations, shutdown ------------------------------------------------------------------


def lease_left(*, held: bool) -> Step:
    async def look(stack: CrashStack) -> None:
        (row,) = await stack.sql("SELECT expires_at > clock_timestamp() AS held FROM leader")
        assert row["held"] == held

    return look


async def two_migrations(stack: CrashStack) -> None:
    (row,) = await stack.sql("SELECT count(*) AS n FROM _yoyo_migration")
    assert row["n"] == 2


async def is_told_to_stop(stack: CrashStack) -> None:
    await stack.service.ready()
    await stack.until_it_trades()
    stack.service.tell(signal.SIGTERM)


#: In the order in which they are tried. The migrations come first, on an empty database. The
#: alerts' claims run out while the others are tried.
CRASHES: Final = (
    Crash(point="migrate.mid", hit=3, left=two_migrations),
    Crash(
        point="outbox.after_send",
        provoke=halts_and_is_told,
        left=alert_left(receipt=False),
        ends=resumed,
    ),
    Crash(
        point="outbox.before_mark",
        provoke=halts_and_is_told,
        left=alert_left(receipt=True),
        ends=resumed,
    ),
    Crash(point="leader.after_lock", left=lease_left(held=True), lease_runs_out=True),
    Crash(point="leader.epoch_bumped", left=lease_left(held=True), lease_runs_out=True),
    Crash(point="intent.before_commit", behind=reckless, left=undecided),
    Crash(point="intent.after_commit", behind=reckless, left=allowed_without_order),
    Crash(
        point="post.after_send",
        behind=reckless,
        left=order_left("PENDING", arrives=True),
        ends=order_ends("EXECUTED"),
    ),
    Crash(
        point="post.after_response",
        behind=reckless,
        left=order_left("PENDING", arrives=True),
        ends=order_ends("EXECUTED"),
    ),
    Crash(
        point="outcome.before_commit",
        behind=reckless,
        left=order_left("PENDING", arrives=True),
        ends=order_ends("EXECUTED"),
    ),
    Crash(
        point="outcome.after_commit",
        behind=reckless,
        left=order_left("SUBMITTED", arrives=True),
        ends=order_ends("EXECUTED"),
    ),
    Crash(
        point="fill.before_commit",
        behind=reckless,
        left=order_left("SUBMITTED", arrives=True),
        ends=order_ends("EXECUTED"),
    ),
    Crash(
        point="fill.after_commit",
        behind=reckless,
        left=order_left("EXECUTED", arrives=True, fills=1),
    ),
    Crash(point="cancel.after_send", provoke=cancels, left=cancel_left, ends=limits_cancelled),
    Crash(point="cancel.after_response", provoke=cancels, left=cancel_left, ends=limits_cancelled),
    Crash(point="reconcile.mid", prepare=two_limits, left=two_open, ends=cancel_both),
    Crash(point="reconcile.adopted", behind=order_without_a_row, left=adopted, ends=recovered),
    Crash(
        point="halt.before_commit",
        provoke=halts,
        left=halt_left(stored=False),
        ends=still_halted,
    ),
    Crash(
        point="halt.after_commit",
        provoke=halts,
        left=halt_left(stored=True),
        ends=still_halted,
    ),
    Crash(point="shutdown.draining", provoke=is_told_to_stop, left=lease_left(held=True)),
    Crash(point="shutdown.before_flush", provoke=is_told_to_stop, left=lease_left(held=False)),
    # Each in a market of its own: an order of unknown fate stops its market only.
    Crash(
        point="attempt.after_commit",
        behind=reckless,
        left=order_left("PENDING", arrives=False),
        restarts=False,
    ),
    Crash(
        point="post.before_send",
        behind=reckless,
        left=order_left("PENDING", arrives=False),
        ends=both_not_placed,
    ),
)
