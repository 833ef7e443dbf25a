"""A sandbox on loopback and a client that knows nothing of it but the documentation."""

from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest

from service.sandbox.options import SandboxOptions
from service.sandbox.server import Sandbox, open_sandbox
from tests.integration.sandbox.client import Client


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    """Time stands still, so that every test sees one market."""
    async with open_sandbox(SandboxOptions(speed=Decimal(0))) as sandbox:
        yield sandbox


@pytest.fixture
def client(session: aiohttp.ClientSession, sandbox: Sandbox) -> Client:
    return Client(session, sandbox)
