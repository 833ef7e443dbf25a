"""The real programs as processes of their own: started, asked, signalled, and never left behind."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self, TypeVar

import aiohttp

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0  #: a safety net for waits on a condition, never a measurement
_OURS = ("TRADER_", "UPBIT_", "GEMINI_", "GOOGLE_", "DATABASE_URL")

T = TypeVar("T")


async def until(
    look: Callable[[], Awaitable[T | None]], *, what: str, patience_s: float = PATIENCE_S
) -> T:
    """Return the first answer of `look` that is true, asking again and again."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        if found := await look():
            return found
        await asyncio.sleep(0.05)
    raise TimeoutError(what)


class Program:
    """One `python -m service …`, with its output in files of `directory`."""

    module: ClassVar = "service"

    def __init__(self, directory: Path, *arguments: str, **variables: str) -> None:
        self.directory = directory
        self.arguments = arguments
        self.variables = variables
        self.out = directory / "stdout"
        self.err = directory / "stderr"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.out.open("wb") as out:
            return self._start(stdout=out.fileno())

    def _start(self, *, stdout: int) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        clean = {k: v for k, v in os.environ.items() if not k.startswith(_OURS)}
        with self.err.open("wb") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", self.module, *self.arguments],
                cwd=self.directory,
                env=clean | {"PYTHONPATH": str(ROOT)} | self.variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=err,
                start_new_session=True,
            )
        return self

    async def ended(self) -> int:
        """Return the exit code once the process has ended."""
        process = self._process
        assert process is not None

        async def look() -> tuple[int] | None:
            return None if process.poll() is None else (process.returncode,)

        (code,) = await until(look, what="the program ends")
        return code

    def tell(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def stop(self) -> int:
        self.tell(signal.SIGTERM)
        return await self.ended()

    def stderr(self) -> str:
        return self.err.read_text() if self.err.exists() else ""

    def lines(self) -> list[dict[str, Any]]:
        """Return stdout, each line of it JSON; a line still being written is left out."""
        whole = self.out.read_bytes().rpartition(b"\n")[0] if self.out.exists() else b""
        return [json.loads(line) for line in whole.splitlines()]

    async def __aenter__(self) -> Self:
        return self.start()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                await self.ended()
            except TimeoutError:
                process.kill()
                process.wait()
                raise


class Service(Program):
    """`trader run` on a port of its own."""

    def __init__(self, directory: Path, **variables: str) -> None:
        super().__init__(
            directory,
            "run",
            **{"TRADER_PORT": "0", "TRADER_DATA_DIR": str(directory / "var")} | variables,
        )
        self.address = ""

    async def ready(self) -> Self:
        """Wait until the port is open and the service says that it is ready."""

        async def banner() -> str | None:
            assert self._process is not None
            assert self._process.poll() is None, self.stderr()
            found = re.search(r"http://\S+", self.stderr())
            return found.group() if found else None

        self.address = await until(banner, what="the service opens its port")
        return self

    async def get(self, path: str, **query: str) -> Any:
        _, body = await self.ask("GET", path, query=query)
        return body

    async def ask(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        """Return status and JSON body."""
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, self.address + path, json=body, params=query) as answer,
        ):
            return answer.status, await answer.json(content_type=None)

    async def all(self, path: str) -> list[dict[str, Any]]:
        """Return every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        query = {"limit": "100"}
        while True:
            page = await self.get(path, **query)
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            query["cursor"] = page["next_cursor"]

    async def until(
        self,
        path: str,
        true: Callable[[Any], object],
        *,
        patience_s: float = PATIENCE_S,
        **query: str,
    ) -> Any:
        """Return the body of `path` once it is as wished."""

        async def look() -> tuple[Any] | None:
            body = await self.get(path, **query)
            return (body,) if true(body) else None

        (body,) = await until(look, what=path, patience_s=patience_s)
        return body


class WatchedService(Service):
    """As `Service`; says at its end which of its HTTP clients it has not closed (watched.py)."""

    module: ClassVar = "tests.e2e.watched"

    def left_open(self) -> list[str]:
        """Return what the process said of clients that it did not close; ask once it has ended."""
        words = ("left open", "Unclosed", "was never")
        return [line for line in self.stderr().splitlines() if any(word in line for word in words)]


class SandboxProgram(Program):
    """`trader sandbox`: an exchange and a model that outlive the service under test."""

    def __init__(self, directory: Path, **variables: str) -> None:
        super().__init__(
            directory,
            "sandbox",
            **{"TRADER_DATA_DIR": str(directory / "var")} | variables,
        )
        self.ready_line: dict[str, str] = {}

    async def ready(self) -> Self:
        async def first() -> dict[str, str] | None:
            assert self._process is not None
            assert self._process.poll() is None, self.stderr()
            found = [line for line in self.lines() if line["event"] == "sandbox"]
            return found[0] if found else None

        self.ready_line = await until(first, what="the sandbox is ready")
        return self

    def for_service(self) -> dict[str, str]:
        """Return the variables that point a service here."""
        return {
            "UPBIT_BASE_URL": self.ready_line["upbit_rest"],
            "UPBIT_ACCESS_KEY": self.ready_line["access_key"],
            "UPBIT_SECRET_KEY": self.ready_line["secret_key"],
            "GEMINI_BASE_URL": self.ready_line["gemini"],
        }

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        url = self.ready_line["upbit_rest"] + path
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, json=body) as answer,
        ):
            assert answer.ok, await answer.text()
            return await answer.json(content_type=None)


def postmasters(directory: Path) -> list[int]:
    """Return the server processes that still work somewhere below `directory`."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                where = (process / "cwd").readlink()
            except OSError:
                continue
            if where.is_relative_to(directory):
                found.append(int(process.name))
    return found
