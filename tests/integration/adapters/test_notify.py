"""apprise against a real webhook on loopback."""

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from service.adapters.notify import AppriseTarget, open_targets
from service.domain.alerts import Severity
from service.domain.errors import ConfigError
from service.ports.alerts import Outgoing
from tests.fakes.logs import Logs
from tests.fakes.webhook import Webhook, open_webhook

CANARY = "canary-7f3a9e51c04d"


def a_message(**overrides: object) -> Outgoing:
    values = {"id": 1, "severity": "error", "title": "Job collect fails", "body": "It is so."}
    return Outgoing(**values | overrides)  # type: ignore[arg-type]


def the_target(urls: str, *, within_s: float | None = None) -> AppriseTarget:
    (target,) = open_targets(urls, mode="sandbox")
    if within_s is not None:
        target._within_s = within_s
    return target


@pytest.fixture
async def hook() -> AsyncIterator[Webhook]:
    async with open_webhook() as opened:
        yield opened


async def test_a_webhook_gets_mode_severity_title_and_body(hook: Webhook) -> None:
    assert await the_target(hook.address).send(a_message()) is None

    (body,) = hook.got
    assert body["title"] == "[sandbox] error: Job collect fails"
    assert body["message"] == "It is so."
    assert body["type"] == "failure"


@pytest.mark.parametrize(
    ("severity", "kind"), [("info", "info"), ("warning", "warning"), ("critical", "failure")]
)
async def test_each_severity_has_its_colour(hook: Webhook, severity: Severity, kind: str) -> None:
    await the_target(hook.address).send(a_message(severity=severity))

    assert hook.got[0]["type"] == kind


async def test_a_recovery_is_green_and_says_so(hook: Webhook) -> None:
    await the_target(hook.address).send(a_message(is_recovery=True, body="", occurrences=3))

    assert hook.got[0]["title"] == "[sandbox] recovered: Job collect fails"
    assert hook.got[0]["type"] == "success"
    assert "Seen 3 times." in hook.got[0]["message"]


async def test_braces_in_a_text_are_no_template(hook: Webhook) -> None:
    await the_target(hook.address).send(a_message(body="{{ app_id }} {0}"))

    assert hook.got[0]["message"] == "{{ app_id }} {0}"


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
async def test_a_target_that_says_no_refused(hook: Webhook, status: int) -> None:
    hook.status = status

    assert await the_target(hook.address).send(a_message()) == "refused"


async def test_a_target_that_is_not_there_refused() -> None:
    assert await the_target("json://127.0.0.1:1/").send(a_message()) == "refused"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_a_refusal_and_is_not_followed(hook: Webhook, status: int) -> None:
    hook.status, hook.headers = status, {"Location": "/elsewhere"}

    assert await the_target(hook.address).send(a_message()) == "refused"
    assert hook.paths == ["/"]


async def test_a_target_that_hangs_times_out_and_is_left_alone_until_it_answers(
    hook: Webhook,
) -> None:
    hook.open.clear()
    target = the_target(hook.address, within_s=0.2)

    first = await target.send(a_message())
    second = await target.send(a_message())
    thread = target._thread
    assert thread is not None
    hook.open.set()
    await asyncio.to_thread(thread.join, 10)
    third = await target.send(a_message())

    assert (first, second, third) == ("timeout", "busy", None)


async def test_the_loop_goes_on_while_a_target_hangs(hook: Webhook) -> None:
    hook.open.clear()
    target = the_target(hook.address)

    sending = asyncio.create_task(target.send(a_message()))
    await hook.asked.wait()  # this loop serves the webhook: it could not, if it were blocked
    hook.open.set()

    assert await sending is None


async def test_cancelling_a_send_ends_the_wait_at_once(hook: Webhook) -> None:
    hook.open.clear()
    target = the_target(hook.address)
    sending = asyncio.create_task(target.send(a_message()))
    await hook.asked.wait()

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    thread = target._thread
    assert thread is not None
    assert thread.daemon, "the process must not wait for it at its end"
    hook.open.set()
    await asyncio.to_thread(thread.join, 10)


@pytest.mark.parametrize("status", [200, 500])
async def test_nothing_of_an_address_is_logged(hook: Webhook, status: int) -> None:
    hook.status = status
    urls = f"json://user:{CANARY}@127.0.0.1:{hook.port}/{CANARY}/?+X-Token={CANARY}"

    with Logs.captured() as logs:
        await the_target(urls).send(a_message())
        logging.getLogger("apprise").critical(CANARY)
        logging.getLogger("urllib3.connectionpool").warning(CANARY)

    assert hook.paths == [f"/{CANARY}/"]
    assert logs.lines == []


# --- addresses -----------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [" ", "\n", ",", ", ", ";", " \r\n\t"])
def test_several_addresses_stand_between_blanks_commas_and_line_breaks(between: str) -> None:
    targets = open_targets(f" json://127.0.0.1:1/{between}jsons://localhost\n", mode="live")

    assert [target.name for target in targets] == [
        "1:json://127.0.0.1:1",
        "2:jsons://localhost",
    ]


@pytest.mark.parametrize("urls", ["", " ", "\n", ","])
def test_no_address_is_no_target(urls: str) -> None:
    assert open_targets(urls, mode="live") == ()


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"json://user:{CANARY}@127.0.0.1:9/{CANARY}", "1:json://127.0.0.1:9"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", "1:slack"),
        ("tgram://123456789:AAEbcdefghijklmnopqrstuvwxyz123456/12315544", "1:tgram"),
        (f"ntfy://{CANARY}", "1:ntfy"),
        (f"discord://4174216298/{CANARY}", "1:discord"),
    ],
)
def test_a_targets_name_holds_no_secret(url: str, name: str) -> None:
    assert the_target(url).name == name


@pytest.mark.parametrize(
    ("urls", "places"),
    [
        (CANARY, "number 1 "),
        (f"foo://{CANARY}", "number 1 "),
        (f"json://127.0.0.1 slack://{CANARY}", "number 2 "),
        (f"{CANARY} json://127.0.0.1", "number 1 "),
        (f"json://127.0.0.1 {CANARY}, foo://x", "number 1, 2 "),
        (f"https://127.0.0.1/{CANARY}", "number 1 "),
    ],
)
def test_a_bad_address_is_named_by_its_place_and_never_quoted(urls: str, places: str) -> None:
    with pytest.raises(ConfigError) as raised:
        open_targets(urls, mode="live")

    assert places in str(raised.value)
    assert CANARY not in str(raised.value)


def test_importing_the_adapter_imports_no_apprise_and_opening_warns_of_nothing() -> None:
    program = (
        "import sys; from service.adapters.notify import open_targets;"
        "assert 'apprise' not in sys.modules;"
        "print(open_targets('json://127.0.0.1', mode='live')[0].name)"
    )

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip

    assert (done.stdout, done.stderr) == ("1:json://127.0.0.1\n", "")
