"""Loopback stand-ins for the exchange, and the adapter pointed at them."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from service.adapters.gemini import Gemini, open_gemini
from service.adapters.upbit.rest import UpbitRest
from tests.fakes.clock import FakeClock
from tests.integration.adapters.gemini_stub import GeminiStub, open_gemini_stub
from tests.integration.adapters.upbit_stub import ACCESS_KEY, SECRET_KEY, UpbitStub, open_stub

GEMINI_KEY = "canary-gemini-key"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def stub() -> AsyncIterator[UpbitStub]:
    async with open_stub() as stub:
        yield stub


@pytest.fixture
def limits_clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def upbit(session: aiohttp.ClientSession, stub: UpbitStub, limits_clock: FakeClock) -> UpbitRest:
    return UpbitRest(
        session,
        quotation_url=stub.address,
        exchange_url=stub.address,
        access_key=ACCESS_KEY,
        secret_key=SECRET_KEY,
        real_clock=limits_clock,
    )


@pytest.fixture
async def gemini_stub() -> AsyncIterator[GeminiStub]:
    async with open_gemini_stub() as stub:
        yield stub


@pytest.fixture
async def gemini(gemini_stub: GeminiStub) -> AsyncIterator[Gemini]:
    async with open_gemini(api_key=GEMINI_KEY, base_url=gemini_stub.address) as gemini:
        yield gemini
