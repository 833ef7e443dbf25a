"""Of an answer that is too long no more is read than the bound, whoever plays the model."""

import gzip

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.adapters.gemini import Gemini, open_gemini
from service.adapters.gemini_response import LONGEST_BODY
from service.adapters.gemini_wire import LONGEST_REASONING
from service.domain.errors import ModelUnavailable
from service.ports.model import Prompt
from service.sandbox.gemini_api.answer import HUGE
from tests.integration.adapters.conftest import GEMINI_KEY
from tests.integration.adapters.gemini_stub import GeminiStub, Scene, opinion, refused

PROMPT = Prompt(system="be careful", facts="market: KRW-BTC")
MODEL = "gemini-3.8-flash"
MIB = 1024 * 1024
WHOLE = 64 * MIB
#: What the kernel and aiohttp may hold of an answer that nothing reads any more.
BUFFERED = 16 * MIB


async def ask(gemini: Gemini) -> object:
    return await gemini.ask(PROMPT, model=MODEL)


def padded(scene: Scene, *, to: int) -> Scene:
    assert isinstance(scene.body, str)
    scene.body = scene.body.ljust(to)
    return scene


async def test_an_answer_longer_than_any_is_refused_and_the_next_one_is_taken(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(padded(opinion(), to=LONGEST_BODY + 1), padded(opinion(), to=LONGEST_BODY))

    with pytest.raises(ModelUnavailable, match="longer than any") as caught:
        await ask(gemini)

    # Not a code of an answer that certainly was not billed (flows/model_budget.py).
    assert caught.value.code == "bad_answer"
    assert await ask(gemini)
    assert len(gemini_stub.asked) == 2


async def test_a_small_answer_that_unpacks_to_a_long_one_is_refused(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    bomb = gzip.compress(opinion().body.encode() + b" " * WHOLE)  # type: ignore[union-attr]
    gemini_stub.play(Scene(body=bomb, headers={"Content-Encoding": "gzip"}))

    with pytest.raises(ModelUnavailable, match="longer than any"):
        await ask(gemini)


async def test_a_failure_with_an_endless_body_keeps_its_meaning_and_its_wait(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    slow_down = refused(429, "RESOURCE_EXHAUSTED", headers={"Retry-After": "7"})
    gemini_stub.play(padded(slow_down, to=2 * LONGEST_BODY))

    with pytest.raises(ModelUnavailable) as caught:
        await ask(gemini)

    assert (caught.value.code, caught.value.retry_after_s) == ("rate_limited", 7.0)


async def test_asking_whether_the_model_exists_is_bounded_too(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    gemini_stub.play(Scene(body="{}".ljust(LONGEST_BODY + 1)))

    with pytest.raises(ModelUnavailable, match="longer than any"):
        await gemini.ping(MODEL)


@pytest.mark.parametrize("status", [200, 503])
async def test_the_rest_of_a_long_answer_is_not_taken_from_the_network(status: int) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        while sent < WHOLE:
            await answer.write(b" " * MIB)
            sent += MIB
        return answer

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", endless)
    async with TestServer(app) as server:
        address = str(server.make_url("")).rstrip("/")
        async with open_gemini(api_key=GEMINI_KEY, base_url=address) as gemini:
            with pytest.raises(ModelUnavailable):
                await ask(gemini)

    assert sent < BUFFERED


async def test_the_longest_answer_of_the_sandbox_is_taken(
    gemini: Gemini, gemini_stub: GeminiStub
) -> None:
    """The fault `huge` is about what gets logged, so it has to pass the bound."""
    gemini_stub.play(opinion(reasoning=HUGE))

    answer = await gemini.ask(PROMPT, model=MODEL)

    assert answer.proposal is not None
    assert len(answer.proposal.reasoning) == LONGEST_REASONING
