"""The stack of the crash lane: it counts requests on both sides, and starts the service armed."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp

from service.crashpoints import RECORD, CrashPoint
from service.store.queries.verify import verify
from tests.faults.stack import DATABASE, Canaries, FaultService, Stack
from tests.faults.waits import until

RECKLESS: Final = {"path": "*:generateContent", "model": "reckless"}
MARKETS: Final = ("KRW-BTC", "KRW-ETH")
_SERVED: Final = re.compile(
    r'^trader_http_requests_total\{.*status="(\d)\d\d"\} (\d+)', re.MULTILINE
)
#: Reasons of orders that never left this process or never arrived.
_NOT_SEEN: Final = ("not_placed", "not_sent", "too_late", "lease_lost", "trading_stopped")


class CountedService(FaultService):
    """Counts what its callers got: answers by class, and requests without one."""

    def __init__(self, directory: Path, canaries: Canaries, **variables: str) -> None:
        super().__init__(directory, canaries, **variables)
        self.got: Counter[str] = Counter()
        self.unanswered: list[str] = []

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        key: str | None = None,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> tuple[int, Any]:
        serves = bool(self.address)  # it may begin to while a request to nowhere fails
        try:
            status, answer = await super().ask(
                method, path, body=body, query=query, key=key, more=more
            )
        except (aiohttp.ClientError, TimeoutError) as exc:
            if serves:
                self.unanswered.append(f"{method} {path}: {exc!r}")
            raise
        self.got[str(status)[0]] += 1
        return status, answer


class CrashStack(Stack):
    """Two markets, so that an order of unknown fate in one leaves the other to trade.

    Attributes:
        acts: requests for a change, by request id: the status, None where no answer came.
        order_left: identifier of the order that the last crash was about.
        posts_left: orders that had reached the exchange at the last crash.
    """

    service: CountedService

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, kind=CountedService, markets=",".join(MARKETS))
        self.acts: dict[str, int | None] = {}
        self.order_left = ""
        self.posts_left = 0
        self.crashes = 0
        self.is_running = False  #: a service that nothing has armed
        self._epoch = 0

    async def start_service(self) -> None:
        """Leave the first start to the first crash, which falls into the migrations."""

    # --- one life after the other -----------------------------------------------------------------

    async def start(self) -> None:
        """Start the service as an operator would, and wait until it trades."""
        is_first = not self.acts and not self._epoch
        self.launch()
        await self.service.ready()
        if is_first:
            # A market hour is twelve seconds: neither a signal nor a limit order may grow old.
            await self.change(
                signal_max_age_seconds=1800,
                limit_order_max_age_minutes=10_080,
                signal_interval_minutes=5,
                signal_cooldown_minutes=0,
                alert_min_severity="critical",
                position_size_max_pct=1,
                max_position_pct=60,
                max_orders_per_hour=1000,
                ai_daily_budget_usd=None,
            )
        self.is_running = True
        await self.until_it_trades()

    async def until_it_trades(self) -> None:
        async def look() -> bool:
            status, body = await self.service.ask("GET", "/api/v1/risk/status")
            return status == 200 and body["lease"]["may_trade"]

        await until(look, what="the service holds the lease and has settled its past")

    async def stop_running(self) -> None:
        if self.is_running:
            assert await self.service.stop() == 0, self.service.stderr()
            self.is_running = False

    async def has_died(self, point: CrashPoint) -> None:
        """Wait for the process's end, and see that it was this crash."""
        code = await self.service.ended()
        self.crashes += 1
        record = self.folder / "s" / "var" / RECORD
        died_at = record.read_text() if record.exists() else ""
        assert code == -signal.SIGKILL, f"ended with {code}: {self.service.stderr()[-2000:]}"
        assert died_at == point, f"died at {died_at!r}"

    async def expire_lease(self) -> None:
        """Spare the ten seconds for which a dead owner keeps the lease."""
        await self.sql("UPDATE leader SET expires_at = clock_timestamp()")

    # --- the exchange -----------------------------------------------------------------------------

    async def ledger(self) -> dict[str, Any]:
        found: dict[str, Any] = await self.sandbox.ask("GET", "/__sandbox__/ledger")
        return found

    async def knows(self, identifier: str) -> bool:
        orders = (await self.ledger())["orders"]
        return any(order["identifier"] == identifier for order in orders)

    # --- requests for a change --------------------------------------------------------------------

    async def act(
        self, path: str, body: Mapping[str, Any], *, key: str | None = None
    ) -> tuple[int, Any]:
        """POST, and note the outcome by the request's id."""
        name = f"crash-{len(self.acts) + 1}"
        self.acts[name] = None
        status, answer = await self.service.ask(
            "POST", f"/api/v1/{path}", body=body, key=key, more={"X-Request-ID": name}
        )
        self.acts[name] = status
        return status, answer

    async def act_cut(self, path: str, body: Mapping[str, Any]) -> None:
        """As `act`, where the process dies before it answers.

        A halt that the database keeps waiting is answered, and stored afterwards.
        """
        with suppress(aiohttp.ClientError):
            status, answer = await self.act(path, body)
            assert (status, answer.get("stored")) == (200, False), answer

    async def place_limit(self, market: str) -> int:
        """Place a purchase far below the price; return its id once it is on the book."""
        found: list[int] = []

        async def look() -> bool:
            key = f"limit-{len(self.acts)}"
            code, latest = await self.service.ask(
                "GET", "/api/v1/market/latest", query={"market": market}
            )
            if code != 200:
                return False
            half = int(Decimal(latest["price"]) / 2) // 10_000 * 10_000
            order = {"market": market, "side": "BUY", "type": "LIMIT", "price": str(half)}
            order["volume"] = f"{Decimal(20_000) / half:.8f}"
            status, body = await self.act("trading/orders", order, key=key)
            if status == 201:
                found.append(body["id"])
            return status == 201

        await until(look, what=f"a limit order for {market} is taken")
        return found[0]

    async def resume(self) -> None:
        status, body = await self.act("risk/resume", {})
        assert status == 200, body
        assert body["state"] == "ACTIVE", body

    # --- identities beyond those of any fault -----------------------------------------------------

    async def check(self) -> None:
        """Compare everything, with trading switched off for a moment. I1 to I7 come first."""
        async with self.balanced():
            await self._check_replay()
            await self._check_posts()
            await self._check_epochs()
            await self._check_acts()
        await self._check_requests()

    async def _check_replay(self) -> None:
        """I10: our fills, replayed, are the tables.

        The newest snapshot of the equity may be older than fills that came late.
        """
        differ: list[str] = []

        async def look() -> bool:
            differ[:] = map(str, await asyncio.to_thread(verify, self.postgres.dsn(DATABASE)))
            return not differ

        try:
            await until(look, what="the replay agrees")
        except TimeoutError:
            raise AssertionError(f"I10: replayed fills differ: {differ}") from None

    async def _check_posts(self) -> None:
        """I2: every order that reached the exchange is known to it or was refused by it."""
        orders = (await self.ledger())["orders"]
        (row,) = await self.sql(
            "SELECT count(*) AS n FROM orders WHERE status = 'FAILED' AND reason NOT IN"
            f" ({', '.join(repr(reason) for reason in _NOT_SEEN)})"
        )
        assert len(await self.posted()) == len(orders) + row["n"], "I2: requests and orders differ"
        identifiers = [order["identifier"] for order in orders]
        assert len(identifiers) == len(set(identifiers)), "I2: an identifier was used twice"

    async def _check_epochs(self) -> None:
        """I14: each owner has an epoch of its own, and none sends after its successor."""
        (lease,) = await self.sql("SELECT epoch FROM leader")
        assert lease["epoch"] > self._epoch, "I14: two processes had one epoch"
        self._epoch = lease["epoch"]
        rows = await self.sql(
            "SELECT identifier, leader_epoch FROM orders WHERE origin <> 'RECOVERED' ORDER BY id"
        )
        written = [row["leader_epoch"] for row in rows]
        assert written == sorted(written), "I14: an older epoch wrote after a newer one"
        epochs = {row["identifier"]: row["leader_epoch"] for row in rows}
        sent = [order["identifier"] for order in await self.posted()]
        arrived = [epochs[name] for name in sent if name in epochs]
        assert arrived == sorted(arrived), "I14: an older epoch sent after a newer one"

    async def _check_acts(self) -> None:
        """I8: each accepted change has its one row.

        A halt is written again when its outcome is not known, and may have several.
        """
        halts = await self.sql("SELECT request_id FROM audit_log WHERE action = 'risk.halt'")
        again = {row["request_id"] for row in halts}
        rows = await self.sql(
            "SELECT request_id, count(*) AS n FROM audit_log"
            " WHERE request_id LIKE 'crash-%' GROUP BY request_id"
        )
        audited = {row["request_id"]: row["n"] for row in rows}
        wrong = {
            name: (status, audited.get(name, 0))
            for name, status in self.acts.items()
            if (audited.get(name, 0) > 1 and name not in again)
            or (status in {200, 201, 202} and name not in audited)
        }
        assert not wrong, f"I8: request, status, rows: {wrong}"

    async def _check_requests(self) -> None:
        """I8: what this process has answered is what its callers got, by class."""
        async with self.quiet:
            got = dict(self.service.got)
            _, text = await self.service.ask("GET", "/metrics")
        served: Counter[str] = Counter()
        for status, count in _SERVED.findall(text):
            served[status] += int(count)
        assert dict(served) == got, f"I8: served {dict(served)}, got {got}"
        assert not self.service.unanswered, f"I8: without an answer: {self.service.unanswered}"

    async def check_alerts(self) -> None:
        """I12: every alert that was sent has arrived, and nothing else has."""
        rows = await self.sql(
            "SELECT title, kind, severity FROM alerts WHERE cardinality(delivered_to) > 0"
        )
        sent = Counter(
            f"[sandbox] {'recovered' if row['kind'] == 'RECOVERY' else row['severity']}:"
            f" {row['title']}"
            for row in rows
        )
        heard = Counter(self.hook.titles)
        assert heard.keys() == sent.keys(), f"I12: sent {sent}, heard {heard}"
        # A process that dies between a message and its receipt sends it again, nothing else does.
        assert not sent - heard, f"I12: sent {sent}, heard {heard}"
        assert (heard - sent).total() <= self.crashes, f"I12: sent {sent}, heard {heard}"
