"""Who was told to come back is left alone until then; who still sends a body is not."""

import asyncio
from typing import Any

import pytest
from aiohttp import StreamReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.test_utils import make_mocked_request

from service.web.overload.backpressure import pause_reading

SAFETY_S = 10


class Wire(asyncio.Transport):
    """A transport that only knows whether it is listened to."""

    def __init__(self, *, closes: bool = False) -> None:
        super().__init__()
        self.paused = asyncio.Event()
        self.resumed = asyncio.Event()
        self._closes = closes

    def pause_reading(self) -> None:
        self.paused.set()

    def resume_reading(self) -> None:
        self.resumed.set()

    def is_closing(self) -> bool:
        return self._closes

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


async def test_the_connection_is_not_read_until_the_time_it_was_told() -> None:
    wire = Wire()

    pause_reading(make_mocked_request("GET", "/", transport=wire), seconds=0)

    assert wire.paused.is_set()
    assert not wire.resumed.is_set()
    await asyncio.wait_for(wire.resumed.wait(), SAFETY_S)


async def test_a_connection_that_closes_meanwhile_is_left_to_it() -> None:
    wire, passed = Wire(closes=True), asyncio.Event()

    pause_reading(make_mocked_request("GET", "/", transport=wire), seconds=0)
    asyncio.get_running_loop().call_later(0, passed.set)
    await asyncio.wait_for(passed.wait(), SAFETY_S)

    assert not wire.resumed.is_set()


async def test_a_body_on_its_way_is_still_read_so_that_it_can_be_thrown_away() -> None:
    loop = asyncio.get_running_loop()
    body = StreamReader(BaseProtocol(loop), 2**16, loop=loop)
    wire = Wire()

    pause_reading(make_mocked_request("POST", "/", transport=wire, payload=body), seconds=0)

    assert not wire.paused.is_set()


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_connection_that_is_gone_is_no_error(seconds: float) -> None:
    request = make_mocked_request("GET", "/")
    request.protocol.transport = None

    pause_reading(request, seconds=seconds)
