"""Unit tests reach nothing outside this process."""

from collections.abc import Iterator

import pytest
from pytest_socket import enable_socket, socket_allow_hosts

from tests.fakes.logs import Logs


@pytest.fixture(autouse=True)
def only_loopback() -> Iterator[None]:
    # Loopback stays open for aiohttp's own test client; everything else raises.
    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
    yield
    enable_socket()


@pytest.fixture
def logs() -> Iterator[Logs]:
    """What the test logs, through the real sink."""
    with Logs.captured() as captured:
        yield captured
