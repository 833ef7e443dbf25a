"""The real service with its own exchange, model and database, each with separate faults.

service ──HTTP──> sandbox (exchange, model)      a process of its own, with a plan of faults
   └──TCP──> PgProxy ──unix socket──> PostgreSQL a server of its own, to be killed or stopped
"""

import asyncio
import fcntl
import itertools
import json
import os
import secrets
import sys
import termios
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

import aiohttp
from psycopg2.extras import RealDictCursor

from service.store.database.dsn import connect, parameters
from service.store.embedded.server import EmbeddedPostgres
from tests.e2e.processes import SandboxProgram, Service
from tests.fakes.webhook import Webhook, open_webhook
from tests.faults.identities import READ, breaches, stored_tables
from tests.faults.proxy import PgProxy
from tests.faults.waits import until

DATABASE = "faults"
#: Without fsync: commits survive kill -9 of every process, and no fault cuts the power.
DURABLE = {"fsync": "off"}
SPEED = 300  #: market seconds a second: an hour's wait between buy and sale is 12 s
LOAD_EVERY_S = 0.2
#: Addresses that the light load reads during faults.
LOOKS = (
    "/health",
    "/health/detailed",
    "/api/v1/dashboard/summary",
    "/api/v1/signals?limit=20",
    "/api/v1/trading/orders?limit=20",
    "/api/v1/market/latest",
    "/api/v1/config",
    "/api/v1/market/candles?limit=50",
    "/api/v1/alerts?limit=20",
)


def canary(name: str) -> str:
    return f"CANARY{name}{secrets.token_hex(12)}"


@dataclass(slots=True)
class Canaries:
    """Secrets that must appear nowhere, and a marker that must appear everywhere."""

    secrets: dict[str, str] = field(
        default_factory=lambda: {
            name: canary(name) for name in ("gemini", "admin", "viewer", "password", "database")
        }
    )
    marker: str = field(default_factory=lambda: f"marker-{secrets.token_hex(6)}")


class Log:
    """The service's stdout, line by line as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self.lines: list[dict[str, Any]] = []
        self.longest = 0

    def read(self) -> list[dict[str, Any]]:
        with self._path.open("rb") as file:
            file.seek(self._at)
            whole = file.read().rpartition(b"\n")[0]
        if whole:
            self._at += len(whole) + 1
            for line in whole.split(b"\n"):
                self.longest = max(self.longest, len(line))
                self.lines.append(json.loads(line.decode("utf-8")))
        return self.lines

    def since(self, mark: int) -> list[dict[str, Any]]:
        return self.read()[mark:]

    @property
    def mark(self) -> int:
        return len(self.read())


@dataclass(slots=True)
class Answers:
    """Results of the light load: counts of statuses by path."""

    statuses: Counter[int] = field(default_factory=Counter)
    odd: list[tuple[str, int, str]] = field(default_factory=list)
    broken: int = 0  #: requests without an answer


class FaultService(Service):
    """`trader run` with a token; every answer is searched for secrets."""

    def __init__(self, directory: Path, canaries: Canaries, **variables: str) -> None:
        kept = canaries.secrets
        super().__init__(
            directory,
            **{
                "TRADER_ADMIN_TOKEN": kept["admin"],
                "TRADER_VIEWER_TOKEN": kept["viewer"],
                "TRADER_PASSWORD": kept["password"],
                "GEMINI_API_KEY": kept["gemini"],
                "TRADER_SPEED": str(SPEED),
                # Empty passes too: the log has a line for each row of job_runs then.
                "TRADER_LOG_LEVEL": "DEBUG",
            }
            | variables,
        )
        self.canaries = canaries
        self.log = Log(self.out)
        self.bodies: dict[str, bytes] = {}  #: the last answer of each address
        self.hits: set[str] = set()  #: where a secret was found

    def search(self, where: str, raw: bytes) -> None:
        for name, value in self.canaries.secrets.items():
            if value.encode() in raw:
                self.hits.add(f"{where}: {name}")

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
        """Args: key: the `Idempotency-Key` of an order by hand.  more: headers."""
        headers = {
            "Authorization": f"Bearer {self.canaries.secrets['admin']}",
            "X-Request-ID": self.canaries.marker,
        } | ({} if key is None else {"Idempotency-Key": key})
        headers |= more
        timeout = aiohttp.ClientTimeout(total=30)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(
                method, self.address + path, json=body, params=query, headers=headers
            ) as answer,
        ):
            raw = await answer.read()
            self.bodies[path] = raw
            self.search(f"answer {path}", raw + repr(answer.raw_headers).encode())
            return answer.status, json.loads(raw) if raw[:1] in (b"{", b"[") else raw.decode()

    @property
    def proc(self) -> Path:
        return Path("/proc") / str(self.pid)


class PipedService(FaultService):
    """Its stdout is a small pipe, which the test reads or not."""

    PIPE = 4096  #: bytes, the least there is

    def start(self) -> Self:
        self.reading, writing = os.pipe()
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, self.PIPE)
        try:
            return self._start(stdout=writing)
        finally:
            os.close(writing)

    def waiting(self) -> int:
        """Return the bytes that wait to be read."""
        count = bytearray(4)
        fcntl.ioctl(self.reading, termios.FIONREAD, count)
        return int.from_bytes(count, sys.byteorder)


class Stack:
    """All parts together; one fault at a time is injected and removed."""

    def __init__(
        self,
        folder: Path,
        *,
        speed: int = SPEED,
        kind: type[FaultService] = FaultService,
        plan: Sequence[Mapping[str, Any]] = (),
        markets: str = "KRW-BTC",
        candles: Path | None = None,
        **variables: str,
    ) -> None:
        """Bind everything.

        Args:
            plan: faults that are there before the service starts.
            candles: a file that the sandbox replays.
        """
        self._kind, self._first_plan = kind, plan
        self.folder = folder
        self.canaries = Canaries()
        self.postgres = EmbeddedPostgres(folder / "pg", settings=DURABLE)
        self.proxy = PgProxy("")
        replayed = {} if candles is None else {"TRADER_CANDLES": str(candles)}
        self.sandbox = SandboxProgram(
            folder / "x", TRADER_SPEED=str(speed), TRADER_MARKETS=markets, **replayed
        )
        self.answers = Answers()
        self.halted_at = 0.0  #: when a halt was answered, by the machine's monotonic seconds
        self.told: tuple[int, Any] = (0, None)  #: what a health check heard during a standstill
        self.variables = {"TRADER_SPEED": str(speed), "TRADER_MARKETS": markets} | variables
        self.service = kind(folder / "s", self.canaries)
        self.hook = Webhook()  #: the target of alerts
        self._opened = AsyncExitStack()
        self._loading: asyncio.Task[None] | None = None
        self.quiet = asyncio.Lock()  #: held, the light load sends nothing

    # --- life -----------------------------------------------------------------------------------

    @classmethod
    @asynccontextmanager
    async def opened(cls, folder: Path, **options: Any) -> AsyncIterator[Self]:
        stack = cls(folder, **options)
        try:
            await stack._start()
            yield stack
        finally:
            await stack._stop()

    async def _start(self) -> None:
        self.hook = await self._opened.enter_async_context(open_webhook())
        await asyncio.to_thread(self.postgres.start)
        await asyncio.to_thread(self.postgres.ensure_database, DATABASE)
        where = parameters(self.postgres.dsn(DATABASE))["host"]
        self.proxy = PgProxy(f"{where}/.s.PGSQL.5432")
        await self.proxy.start()
        self.sandbox.start()
        await self.sandbox.ready()
        self.canaries.secrets |= {
            "access": self.sandbox.ready_line["access_key"],
            "secret": self.sandbox.ready_line["secret_key"],
        }
        if self._first_plan:
            await self.plan(*self._first_plan)
        await self.start_service()
        self._loading = asyncio.create_task(self._load())

    def new_service(self, name: str, **more: str) -> FaultService:
        """Return a service on this exchange and database, not started. Args: more: variables."""
        password = self.canaries.secrets["database"]
        dsn = f"postgresql://trader:{password}@127.0.0.1:{self.proxy.port}/{DATABASE}"
        variables = {"DATABASE_URL": dsn, "TRADER_ALERT_URLS": self.hook.address}
        variables = self.sandbox.for_service() | variables | self.variables | more
        return self._kind(self.folder / name, self.canaries, **variables)

    def launch(self, **more: str) -> None:
        """Start the service's process, which may end before it is ready. Args: more: variables."""
        self.service = self.new_service("s", **more)
        self.service.start()

    async def start_service(self) -> None:
        self.launch()
        await self.service.ready()
        # A signal a second rather than each half hour; the rest of the rules stay as they are.
        # Of alerts only the gravest are sent: there are more faults than messages in ten minutes.
        await self.change(
            signal_interval_minutes=5,
            signal_cooldown_minutes=0,
            alert_min_severity="critical",
            ai_daily_budget_usd=None,
        )

    async def end_service(self) -> None:
        """Stop the load and the service, which has to end well."""
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        assert await self.service.stop() == 0

    async def _stop(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
        async with self._opened as ending:
            ending.push_async_exit(self.sandbox)
            ending.push_async_exit(self.service)
        await self.proxy.close()
        await asyncio.to_thread(self.postgres.stop)

    async def _load(self) -> None:
        """A few requests a second, whatever they meet."""
        for path in itertools.cycle(LOOKS):
            try:
                async with self.quiet:
                    status, body = await self.service.ask("GET", path)
            except (aiohttp.ClientError, TimeoutError, ValueError):
                self.answers.broken += 1
            else:
                self.answers.statuses[status] += 1
                if status != 200 and path not in LOOKS[:2]:
                    kind = body.get("type", "") if isinstance(body, dict) else ""
                    self.answers.odd.append((path, status, kind.rpartition(":")[2]))
            await asyncio.sleep(LOAD_EVERY_S)

    # --- looking --------------------------------------------------------------------------------

    async def health(self) -> tuple[int, dict[str, Any]]:
        status, body = await self.service.ask("GET", "/health/detailed")
        return status, body

    async def until_health(self, true: Callable[[int, dict[str, Any]], object], what: str) -> Any:
        seen: list[Any] = [None]

        async def look() -> dict[str, Any] | None:
            with suppress(aiohttp.ClientError, TimeoutError):
                status, body = await self.health()
                seen[0] = {
                    name: (part["status"], part["reason"])
                    for name, part in body["components"].items()
                } | {"overall": body["status"], "code": status}
                return body if true(status, body) else None
            return None

        try:
            return await until(look, what=what)
        except TimeoutError:
            raise AssertionError(f"{what}; seen last: {seen[0]}") from None

    async def until_healthy(self) -> None:
        await self.until_health(
            lambda code, body: code == 200 and body["status"] == "healthy", "healthy again"
        )

    async def until_lines(
        self, mark: int, true: Callable[[Sequence[dict[str, Any]]], object], what: str
    ) -> None:
        async def look() -> bool:
            return bool(true(self.service.log.since(mark)))

        try:
            await until(look, what=what)
        except TimeoutError:
            tail = [
                {k: line.get(k) for k in ("level", "event", "job", "message", "error", "why")}
                for line in self.service.log.since(mark)
                if line["event"] != "http"
            ]
            raise AssertionError(f"{what}; logged last: {tail[-12:]}") from None

    # --- changing -------------------------------------------------------------------------------

    async def change(self, **values: Any) -> None:
        status, body = await self.service.ask("PATCH", "/api/v1/config", body=values)
        assert status == 200, body

    async def plan(self, *faults: Mapping[str, Any]) -> None:
        await self.sandbox.ask("POST", "/__sandbox__/faults", list(faults))

    async def clear_plan(self) -> None:
        await self.sandbox.ask("DELETE", "/__sandbox__/faults")

    async def plan_seen(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.sandbox.ask("GET", "/__sandbox__/faults")
        return found

    async def posted(self) -> list[dict[str, Any]]:
        """Return each request for an order as it reached the exchange, oldest first."""
        seen = await self.sandbox.ask("GET", "/__sandbox__/arrivals")
        return [one for one in seen if (one["method"], one["path"]) == ("POST", "/v1/orders")]

    # --- the database, from behind --------------------------------------------------------------

    @contextmanager
    def admin(self) -> Iterator[Any]:
        """A cursor past the proxy, in autocommit; of the caller's thread."""
        given = parameters(self.postgres.dsn(DATABASE))
        with (
            closing(connect(given)) as connection,
            connection.cursor(cursor_factory=RealDictCursor) as cursor,
        ):
            yield cursor

    async def sql(self, *statements: str) -> list[dict[str, Any]]:
        """Run statements one after the other; return the last one's rows."""

        def run() -> list[dict[str, Any]]:
            with self.admin() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []

        return await asyncio.to_thread(run)

    async def postgres_pids(self) -> list[int]:
        """Return the server's processes, the postmaster first."""
        home = self.postgres.log.parent
        noted = int((home / "cluster" / "postmaster.pid").read_text().split("\n", 1)[0])
        return [noted, *_children(noted)]

    # --- the identities -------------------------------------------------------------------------

    async def until_balanced(self) -> None:
        """Stop trading for a moment and compare every table with the exchange's ledger."""
        async with self.balanced():
            pass

    @asynccontextmanager
    async def balanced(self) -> AsyncIterator[None]:
        """Stop trading, wait until every table agrees with the exchange's ledger, go on after."""
        await self._switch(on=False)
        wrong: list[str] = []

        async def look() -> bool:
            wrong[:] = await self._wrong()
            return not wrong

        try:
            try:
                await until(look, what="the identities hold")
            except TimeoutError:
                raise AssertionError("\n".join(wrong)) from None
            yield
        finally:
            await self._switch(on=True)

    async def _switch(self, *, on: bool) -> None:
        async def look() -> bool:
            status, _ = await self.service.ask(
                "PATCH", "/api/v1/config/trading_enabled", body={"value": on}
            )
            return status == 200

        await until(look, what="the trading switch is set")

    async def _wrong(self) -> list[str]:
        def read() -> dict[str, list[Any]]:
            with self.admin() as cursor:
                cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
                tables = {}
                for name, statement in READ.items():
                    cursor.execute(statement)
                    tables[name] = list(cursor.fetchall())
                return tables

        ledger = await self.sandbox.ask("GET", "/__sandbox__/ledger")
        sent = Counter(one["identifier"] for one in await self.posted())
        if twice := [name for name, times in sent.items() if name and times > 1]:
            return [f"I2: sent more than once: {twice}"]
        return breaches(stored_tables(await asyncio.to_thread(read)), ledger)

    async def count(self, table: str) -> int:
        (row,) = await self.sql(f"SELECT count(*) AS n FROM {table}")
        return int(row["n"])


def _children(pid: int) -> list[int]:
    with suppress(OSError):
        return [
            int(child)
            for task in (Path("/proc") / str(pid) / "task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    return []


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
