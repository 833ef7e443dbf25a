"""ports.Model over google-genai.

Unwanted defaults of the SDK are switched off one by one, each with its reason and a test.
"""

import asyncio
import ssl
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from typing import Final

import aiohttp
import certifi
from google import genai
from google.genai import client as genai_client
from google.genai import models, types
from pydantic import ValidationError

from service.adapters import gemini_wire as wire
from service.adapters.gemini_errors import translated
from service.adapters.gemini_response import BoundedResponse
from service.adapters.holds import Holds
from service.domain.errors import BoundaryError, ModelQuotaUsedUp, ModelUnavailable
from service.domain.signals import Answer, Usage
from service.ports.model import Prompt

SHORTEST_DEADLINE_S: Final = 10  #: the service answers 400 to a shorter X-Server-Timeout
_CONNECTIONS: Final = 8
_SERVER: Final = ""  #: the key of holds that concern every model; no model has this name


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Gemini:
    """Satisfies ports.Model. Made by `open_gemini`; belongs to one event loop.

    A wait that an answer asks for holds for every later call, whichever job, market or operator
    makes it (FR-010). It holds for one model where the quota counts each model by itself, else for
    all.
    """

    def __init__(
        self,
        client: genai.Client,
        *,
        timeout_s: float,
        holds: Holds,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._client = client
        self._timeout_s = timeout_s
        self._holds = holds
        self._now = now

    def check(self, model: str) -> None:
        """Raise ModelUnavailable or ModelQuotaUsedUp while a hold lasts; nothing is sent."""
        hold = self._holds.longest(_SERVER, model)
        if hold is None:
            return
        if hold.code == "quota_exhausted":
            raise ModelQuotaUsedUp(
                f"the model's quota of the day is used up; it returns in {hold.left_s:.0f} s",
                code=hold.code,
                retry_after_s=hold.left_s,
                sent=False,
            )
        raise ModelUnavailable(
            f"Gemini asked us to wait; nothing is asked for {hold.left_s:.0f} s",
            code=hold.code,
            retry_after_s=hold.left_s,
            sent=False,
        )

    def most_tokens(self, prompt: Prompt) -> Usage:
        """Return an upper bound of what one call can use; nothing is sent."""
        return wire.most_tokens(prompt.system, prompt.facts)

    async def ask(self, prompt: Prompt, *, model: str) -> Answer:
        """Ask once. A malformed answer is a value with its reason, not an error.

        Raises: ModelUnavailable, with the seconds the service asked us to wait; ModelRefused. Both
            without a request while a hold lasts.
        """
        self.check(model)
        config = wire.config(prompt.system, model=model)
        _expect_unknown_words()
        with self._translated(model):
            try:
                async with asyncio.timeout(self._timeout_s):
                    response = await self._client.aio.models.generate_content(
                        model=model, contents=prompt.facts, config=config
                    )
            except ValidationError:
                # The right shape with a wrong type inside, e.g. a text that is a number.
                return wire.unusable("unparsed", model=model)
            except (AttributeError, TypeError) as exc:
                # The SDK converts an answer before it validates it: a number in place of a string
                # raises inside the SDK. The error's name distinguishes this from a bug of ours.
                return wire.unusable(f"unparsed:{type(exc).__name__}", model=model)
        return wire.answer(response, model=model)

    async def ping(self, model: str) -> None:
        """Ask whether `model` exists; costs no tokens. Raises as `ask` does."""
        self.check(model)
        with self._translated(model):
            async with asyncio.timeout(self._timeout_s):
                await self._client.aio.models.get(model=model)

    @contextmanager
    def _translated(self, model: str) -> Iterator[None]:
        def heard(error: BoundaryError, *, of_model: bool) -> None:
            part = model if of_model else _SERVER
            self._holds.keep(part, error.retry_after_s or 0.0, code=error.code or "rate_limited")

        with translated(now=self._now, heard=heard):
            yield


@asynccontextmanager
async def open_gemini(
    *,
    api_key: str,
    base_url: str,
    timeout_s: float = 30,
    api_version: str = "v1",
    seconds: Callable[[], float] = time.monotonic,
    now: Callable[[], datetime] = _utc_now,
) -> AsyncIterator[Gemini]:
    """Build the client in a thread, yield it warmed up, and close all three parts of it.

    Args:
        seconds: the clock of `Holds`.
        now: aware; the end of a quota's day is computed from it.
    """
    # Our own session costs less than the SDK's, raises no DeprecationWarning and can be closed.
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=_CONNECTIONS),
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=BoundedResponse,
    ) as session:
        client = await asyncio.to_thread(
            _build,
            session,
            api_key=api_key,
            base_url=base_url,
            timeout_s=timeout_s,
            api_version=api_version,
        )
        try:
            yield Gemini(client, timeout_s=timeout_s, holds=Holds(seconds), now=now)
        finally:
            await client.aio.aclose()
            client.close()


def _build(
    session: aiohttp.ClientSession,
    *,
    api_key: str,
    base_url: str,
    timeout_s: float,
    api_version: str,
) -> genai.Client:
    """Return a warm client; some 200 ms of blocking work."""
    # The system's certificates (and SSL_CERT_FILE's), and certifi's for systems without any.
    tls = ssl.create_default_context()
    tls.load_verify_locations(certifi.where())
    client = genai.Client(
        # Without these three, environment variables would choose another service, another key, or
        # recorded answers.
        enterprise=False,
        api_key=api_key,
        debug_config=genai_client.DebugConfig(
            client_mode=None, replays_directory=None, replay_id=None
        ),
        http_options=types.HttpOptions(
            base_url=base_url,
            api_version=api_version,
            # Milliseconds. Always set: without it there is no timeout, whatever the session's is.
            timeout=int(max(timeout_s, SHORTEST_DEADLINE_S) * 1000),
            # The default sends again after a broken connection; only the job runner retries.
            retry_options=types.HttpRetryOptions(attempts=1),
            aiohttp_client=session,
            client_args={"verify": tls},
            # A redirect would carry prompt and key to another host.
            async_client_args={"verify": tls, "ssl": tls, "allow_redirects": False},
        ),
    )
    _warm(client)
    return client


def _warm(client: genai.Client) -> None:
    """Make the SDK build now what it otherwise builds for 60 ms in the first call.

    Uses private names of the SDK. If a later SDK moves them, only the first call gets slower.
    """
    with suppress(AttributeError, TypeError, ValueError):
        asked = types._GenerateContentParameters(  # noqa: SLF001 - no public way
            model="m", contents="x", config=wire.config("x", model="gemini-3")
        )
        models._GenerateContentParameters_to_mldev(client._api_client, asked, None, asked)  # noqa: SLF001
        types.GenerateContentResponse.model_validate(
            {
                "candidates": [{"content": {"parts": [{"text": "{}"}]}, "finish_reason": "STOP"}],
                "usage_metadata": {"prompt_token_count": 1},
            }
        )


def _expect_unknown_words() -> None:
    """Ignore the SDK's warning about a finish reason that it does not know.

    Under -W error the warning would be an error. Such an answer is reported as unusable anyway. The
    filter is as narrow as possible and set before each call: other code may change the filters.
    """
    warnings.filterwarnings(
        "ignore", r"(?s).* is not a valid [A-Za-z]+$", UserWarning, r"google\.genai\._common"
    )
