"""Secrets and balances go down every road that leads into a log line; none may come out."""

import asyncio
import base64
import gc
import itertools
import json
import logging
import sys
import threading
import warnings
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from decimal import Decimal
from types import FrameType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, quote_plus

import pytest
from aiohttp import web
from aiohttp.pytest_plugin import AiohttpClient
from loguru import logger
from pydantic import BaseModel, SecretStr

from service.ops.logs import formatter
from service.ops.logs.setup import Log
from service.ops.logs.stdlib import Interception
from tests.builders import a_balance
from tests.fakes.logs import Logs

if TYPE_CHECKING:
    from loguru import Message

# Known to the service, so they may stand anywhere, in any spelling.
KNOWN: Final = {
    "access key": "cAnaryAccess0123456789abcdefghijklmnopqr",
    "secret key": 'cAnary/Secret+"quoted"\\0123456789=abcdef',
    "password": "canary horse battery staple",
    "token": "canaryviewertoken",
}
DSN_PASSWORD: Final = "cAnary%2FDsn@Pass"
DSN: Final = f"postgresql://trader:{DSN_PASSWORD}@db.example:5432/trader"
# Never told to the masker: found by their shape or by the name they stand under.
JWT: Final = "eyJjYW5hcnkiOiJqd3QifQ.eyJjYW5hcnkiOiJqd3QifQ.Y2FuYXJ5LXNpZ25hdHVyZQ"
GEMINI: Final = "AIzaSyCanary-0123456789_abcdefghijklmn"
BALANCE: Final = "918273645.54637281"
CANARIES: Final = {**KNOWN, "dsn password": DSN_PASSWORD, "jwt": JWT, "gemini": GEMINI}

TEXT: Final = " ".join(
    [
        *KNOWN.values(),
        *(quote(value, safe="") for value in KNOWN.values()),
        *(base64.b64encode(value.encode()).decode() for value in KNOWN.values()),
        *(json.dumps(value) for value in KNOWN.values()),
        f"Authorization: Bearer {JWT}\n {JWT} {GEMINI} GET /v1?key={GEMINI}&x=1 {DSN}",
        f"balance={BALANCE} {{'available': '{BALANCE}', 'locked': Decimal('{BALANCE}')}}",
        json.dumps({"body": json.dumps({"balance": BALANCE})}),
        f"{a_balance('KRW', BALANCE)!r}",
    ]
)

Route = Callable[[], "Awaitable[None] | None"]


@dataclass
class Account:
    access_key: str = KNOWN["access key"]
    note: str = TEXT
    balances: dict[str, Decimal] = field(default_factory=lambda: {"KRW": Decimal(BALANCE)})


class Body(BaseModel):
    password: SecretStr = SecretStr(KNOWN["password"])
    token: str = KNOWN["token"]
    equity: Decimal = Decimal(BALANCE)


class Opaque:
    def __repr__(self) -> str:
        return f"<Opaque {TEXT}>"


def _fail() -> None:
    api_key, balance = KNOWN["access key"], Decimal(BALANCE)  # what diagnose=True would print
    error = ValueError(f"{TEXT} {api_key} balance={balance}")
    error.add_note(TEXT)
    raise error


def message() -> None:
    logger.info(TEXT.replace("{", "(").replace("}", ")"))


def format_arguments() -> None:
    logger.info("{} and {named}", TEXT, named=TEXT)


def formatting_that_joins() -> None:
    whole = KNOWN["access key"]
    logger.info("{}{}", whole[:20], whole[20:])


def lazy() -> None:
    logger.opt(lazy=True).info("{}", lambda: TEXT)


def bound() -> None:
    logger.bind(
        api_key=KNOWN["access key"], dsn=DSN, authorization=f"Bearer {JWT}", cookie=TEXT,
        balance=Decimal(BALANCE), locked=float(BALANCE), note=TEXT, raw=TEXT.encode(),
    ).info("x")  # fmt: skip


def bound_deeply() -> None:
    logger.bind(
        nested={"a": [{"secret": KNOWN["secret key"], "available": BALANCE}, (TEXT, {TEXT})]},
        account=Account(),
        body=Body(),
        hidden=SecretStr(TEXT),
        headers=[("Authorization", f"Bearer {JWT}"), (b"Cookie", TEXT.encode())],
        balances=[a_balance("KRW", BALANCE)],
        mine=a_balance("KRW", BALANCE),
        unknown=Opaque(),
        error=ValueError(TEXT),
        config=type(
            "Config", (), {"__repr__": lambda _: f"Config(equity={BALANCE}, dsn={DSN!r})"}
        )(),
    ).bind(**{TEXT: 1}).info("x")


def context() -> None:
    with logger.contextualize(token=KNOWN["token"], balance=BALANCE, note=TEXT):
        logger.info("x")


def exception() -> None:
    try:
        _fail()
    except ValueError:
        logger.exception("x")


def chained_exceptions() -> None:
    try:
        try:
            _fail()
        except ValueError as exc:
            raise KeyError(TEXT) from exc
    except KeyError:
        logger.exception("x")


def exception_group() -> None:
    group = ExceptionGroup(TEXT, [ValueError(TEXT), ExceptionGroup("inner", [KeyError(TEXT)])])
    logger.opt(exception=group).error("x")


def caught_by_decorator() -> None:
    logger.catch(_fail)()


def stdlib() -> None:
    logging.getLogger("library").warning("%s %r", TEXT, Opaque())
    logging.getLogger("library").warning("%(a)s", {"a": TEXT})
    logging.getLogger("library").warning("%s %s", TEXT)  # noqa: PLE1206 - arguments do not fit


def stdlib_exception() -> None:
    try:
        _fail()
    except ValueError:
        logging.getLogger("library").exception("x %s", TEXT, extra={"api_key": TEXT})


def warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(capture=False)
        logging.captureWarnings(capture=True)
        warnings.warn(TEXT, UserWarning, stacklevel=1)


def loop_handler() -> None:
    loop = asyncio.get_running_loop()
    loop.default_exception_handler({"message": TEXT, "exception": ValueError(TEXT), "task": TEXT})


async def lost_task() -> None:
    async def fail() -> None:
        _fail()

    task = asyncio.create_task(fail(), name=TEXT)
    await asyncio.wait({task})
    del task
    gc.collect()


def server_logger() -> None:
    logging.getLogger("aiohttp.server").error("Error handling request", exc_info=ValueError(TEXT))


def thread() -> None:
    failing = threading.Thread(target=_fail, name=TEXT)
    failing.start()
    failing.join()


def end_of_process() -> None:
    sys.excepthook(ValueError, ValueError(TEXT), None)


ROUTES: Final[tuple[Route, ...]] = (
    message, format_arguments, formatting_that_joins, lazy, bound, bound_deeply, context,
    exception, chained_exceptions, exception_group, caught_by_decorator, stdlib,
    stdlib_exception, warning, loop_handler, lost_task, server_logger, thread, end_of_process,
)  # fmt: skip


def leaked(output: bytes) -> set[str]:
    """Return which canaries stand in `output`, as they are or encoded."""
    text = output.decode("utf-8", "replace")
    # What a reader of the JSON sees, and of JSON within it.
    seen = text + text.replace("\\\\", "\\").replace('\\"', '"')
    found = {name for name, value in CANARIES.items() if any(x in seen for x in _spellings(value))}
    return found | ({"balance"} if BALANCE[:9] in seen else set())


def _spellings(canary: str) -> set[str]:
    raw = canary.encode()
    aligned = {base64.b64encode(bytes(n) + raw).decode()[4:-4] for n in range(3)}
    escaped = {json.dumps(canary)[1:-1], repr(canary)[1:-1], quote(canary), quote_plus(canary)}
    return {canary, quote(canary, safe=""), raw.hex()} | escaped | aligned


async def _unmasked(route: Route) -> bytes:
    """Return what loguru alone writes: the control that the canaries were there."""
    heard: list[bytes] = []
    logger.remove()
    handler = logger.add(lambda line: heard.append(line.encode()), serialize=True)
    interception = Interception("DEBUG")
    try:
        await sing(route)
    finally:
        interception.undo()
        logger.remove(handler)
    return b"".join(heard)


async def sing(route: Route) -> None:
    singing = route()
    if singing is not None:
        await singing


def _captured(**options: Any) -> AbstractContextManager[Logs]:
    return Logs.captured(secrets=[*KNOWN.values(), DSN], **options)


@pytest.mark.proves("S7.3", "FR-011")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
async def test_no_canary_leaves_by_this_road(
    route: Route, capfd: pytest.CaptureFixture[str]
) -> None:
    control = await _unmasked(route)
    capfd.readouterr()

    with _captured() as logs:
        await sing(route)

    assert logs.lines, "the road leads into the log"
    assert leaked(control), "the control: without masking it would have shown"
    assert leaked(logs.raw) == set()
    assert leaked("".join(capfd.readouterr()).encode()) == set()


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
async def test_a_second_sink_sees_no_canary_either(route: Route) -> None:
    """The patcher masks the record itself, before any sink."""
    heard: list[str] = []

    def hear(line: "Message") -> None:
        record = line.record
        heard.append(f"{line} {record['message']} {record['extra']!r} {record['exception']!r}")

    with _captured() as logs:
        logger.add(hear, format="{message} {extra} {exception}", diagnose=True, backtrace=True)
        await sing(route)

    assert logs.lines
    assert heard
    assert leaked("".join(heard).encode()) == set()


async def test_the_control_sees_every_canary() -> None:
    shown = await _unmasked(format_arguments) + await _unmasked(bound)

    assert leaked(shown) == {*CANARIES, "balance"}


def test_what_a_destructor_logs_in_mid_line_is_the_next_line_and_not_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """loguru lets no second line of a thread into a sink; it prints it unmasked instead."""
    now, times = formatter._now, itertools.count()

    def interrupted() -> str:
        if next(times) == 0:
            bound()
            exception()
        return now()

    monkeypatch.setattr(formatter, "_now", interrupted)
    with _captured() as logs:
        logger.info("outer")
        logger.info("next")

    assert logs.messages == ["outer", "x", "x", "next"]
    assert [line["seq"] for line in logs.lines] == [1, 2, 3, 4]
    assert leaked(logs.raw) == set()
    assert capfd.readouterr().err == ""


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize("moment", ["call", "return"])
def test_what_a_destructor_logs_beside_the_sink_is_a_line_and_not_on_standard_error(
    moment: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """loguru's lock is held for a few steps before the sink begins and after it has ended."""

    def interrupt(frame: FrameType, event: str, _: object) -> None:
        if frame.f_code is Log._sink.__code__ and event == moment:
            sys.setprofile(None)
            logger.info("in mid-line")

    with _captured() as logs:
        try:
            _fail()
        except ValueError:
            sys.setprofile(interrupt)
            logger.info("outer")

    assert logs.messages == ["outer", "in mid-line"]
    assert leaked(logs.raw) == set()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("canary", CANARIES)
@pytest.mark.parametrize(
    "spelt",
    [
        str,
        json.dumps,
        quote,
        lambda value: base64.b64encode(value.encode()).decode(),
        lambda value: base64.b64encode(f"user:{value}".encode()).decode(),
    ],
)
def test_the_scan_finds_each_canary_in_each_spelling(
    canary: str, spelt: Callable[[str], str]
) -> None:
    assert canary in leaked(json.dumps({"message": f"x {spelt(CANARIES[canary])} y"}).encode())


async def test_a_handler_that_fails_shows_no_canary(
    aiohttp_client: AiohttpClient,
) -> None:
    async def handler(_: web.Request) -> web.Response:
        _fail()
        raise AssertionError

    app = web.Application()
    app.router.add_get("/", handler)
    client = await aiohttp_client(app)

    async def ask() -> None:
        answer = await client.get("/", headers={"Authorization": f"Bearer {JWT}"})
        assert answer.status == 500

    control = await _unmasked(ask)
    with _captured() as logs:
        await sing(ask)

    assert "ERROR" in logs.levels
    assert leaked(control)
    assert leaked(logs.raw) == set()


def test_loguru_alone_would_show_local_variables() -> None:
    """Why diagnose=False is no matter of taste."""
    lines: list[Any] = []
    logger.remove()
    handler = logger.add(lines.append, diagnose=True)
    try:
        exception()
    finally:
        logger.remove(handler)

    assert KNOWN["access key"] in "".join(lines)
