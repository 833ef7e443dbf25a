"""F15: the way to the exchange is over TLS and by name, and both fail."""

import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit

import pytest

from tests.faults import unresolved
from tests.faults.conftest import open_folder
from tests.faults.order_checks import place
from tests.faults.stack import FaultService, Stack
from tests.faults.tls import HOST, Certificates, TlsFront
from tests.faults.waits import until

PURCHASE: Final = {"market": "KRW-BTC", "side": "BUY", "type": "MARKET", "funds": "6000"}

pytestmark = [
    pytest.mark.chaos,
    pytest.mark.timeout(600),
    # A handshake that the front breaks off leaves a transport that asyncio closes no more: it warns
    # of it as it is collected. The front is the test's own, the service runs in another process.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


class NamedService(FaultService):
    module: ClassVar = "tests.faults.unresolved"


@asynccontextmanager
async def over_tls(**options: Any) -> AsyncIterator[tuple[Stack, TlsFront, Certificates]]:
    """Yield a stack whose service asks the exchange over TLS, by the name `localhost`."""
    folder = open_folder()
    certificates = Certificates(folder / "tls")
    try:
        async with Stack.opened(folder, kind=NamedService, **options) as stack:
            await stack.until_healthy()
            front = TlsFront(urlsplit(stack.sandbox.ready_line["upbit_rest"]).port or 0)
            await front.start(certificates.good)
            try:
                assert await stack.service.stop() == 0
                stack.variables |= {
                    "UPBIT_BASE_URL": f"https://{HOST}:{front.port}",
                    "SSL_CERT_FILE": str(certificates.authority),
                }
                yield stack, front, certificates
            finally:
                await front.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def until_posted(stack: Stack) -> None:
    before = len(await stack.posted())

    async def look() -> bool:
        return len(await stack.posted()) > before

    await until(look, what="an order reaches the exchange")


async def until_unreachable(stack: Stack) -> None:
    await stack.until_health(
        lambda _, body: (
            body["components"]["upbit_api"]["status"] == "unhealthy"
            and body["components"]["upbit_api"]["reason"] == "connection_refused"
        ),
        "the exchange cannot be reached",
    )


async def test_f15_a_certificate_that_turns_bad_is_not_accepted() -> None:
    async with over_tls() as (stack, front, certificates):
        await stack.start_service()
        await stack.until_healthy()
        await until_posted(stack)
        contexts: tuple[ssl.SSLContext | None, ...]
        contexts = (certificates.expired, certificates.foreign, None)
        for context in contexts:
            await front.start(context)
            await until_unreachable(stack)
            sent = await stack.posted()
            await front.start(certificates.good)
            assert await stack.posted() == sent, "nothing went over a way that is not ours"
            await stack.until_healthy()
            await stack.until_balanced()
        await until_posted(stack)
        await stack.until_balanced()


async def test_f15_a_service_that_starts_without_name_resolution_trades_once_it_is_back() -> None:
    # Real time on both sides: this start cannot ask the sandbox for the market's.
    async with over_tls(speed=1) as (stack, _, _):
        before = await stack.posted()
        missing = stack.folder / "s" / unresolved.FILE
        missing.touch()
        await stack.start_service()
        await until_unreachable(stack)
        without = await stack.posted()
        missing.unlink()
        await stack.until_healthy()
        order = await place(stack, PURCHASE)
        await stack.until_balanced()
        lines = stack.service.log.read()

    assert without == before
    assert order["id"]
    assert not [line for line in lines if line["level"] == "CRITICAL" and line["event"] != "alert"]
