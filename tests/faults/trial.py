"""One fault from end to end: injected, observed, removed, and the service healthy again."""

import re
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from tests.faults.stack import Stack
from tests.faults.table import Fault, Line
from tests.faults.told import Telling, unhealthy
from tests.faults.waits import until

#: Log lines of a bug of ours, during any fault.
BUGS: Final = frozenset(
    {
        "a background task has died",
        "a handler failed",
        "a health check has a bug",
        "a log line could not be made",
        "the job has a bug or hung",
    }
)
VITAL: Final = frozenset({"database", "scheduler"})


async def tried(stack: Stack, fault: Fault) -> float:
    """Try the fault; return the seconds from its end until all was healthy again."""
    await stack.until_healthy()
    await _recovery_is_logged(stack)
    telling, alarming = await Telling.so_far(stack), unhealthy(fault.sees)
    pid, mark, met = stack.service.pid, stack.service.log.mark, len(stack.answers.odd)
    async with fault.inject(stack):
        for component, (status, reasons) in fault.sees.items():
            await _seen(stack, component, status, reasons)
        for line in fault.logs:
            await stack.until_lines(mark, partial(_has, line), f"{line}")
        if fault.check is not None:
            await fault.check(stack, mark)
        for component in alarming:
            await telling.begun(component)
    over = time.monotonic()
    await stack.until_healthy()
    recovered_s = time.monotonic() - over
    if fault.also_afterwards is not None:
        await fault.also_afterwards(stack, mark)
    await stack.until_balanced()
    for component in alarming:
        outages = sum(
            line.get("component") == component and line.get("status") == "unhealthy"
            for line in stack.service.log.since(mark)
        )
        await telling.ended(component, outages=outages)
    assert stack.service.pid == pid
    found = list(bugs(stack.service.log.since(mark), expected=fault.bugs))
    assert not found, found[:3]
    odd = [
        (path, status, kind)
        for path, status, kind in stack.answers.odd[met:]
        # A busy machine sheds load as it should: said with Retry-After, whatever else is broken.
        if status not in fault.api and kind != "overloaded"
    ]
    assert not odd, odd[:5]
    return recovered_s


async def _recovery_is_logged(stack: Stack) -> None:
    """Wait for the log too: it notes a component's status once a second, health at once.

    Otherwise the next fault could follow so fast that both are one outage in the log.
    """

    async def look() -> bool:
        lines = [
            line for line in stack.service.log.read() if "component" in line and "before" in line
        ]
        newest = {line["component"]: line["status"] for line in lines}
        return set(newest.values()) <= {"healthy"}

    await until(look, what="the log says that every component is healthy")


async def _seen(stack: Stack, component: str, status: str, reasons: str) -> None:
    """Wait until health says so, and check that overall status and HTTP code follow from it."""
    seen: list[tuple[int, Mapping[str, Any]]] = []

    def so(code: int, body: Mapping[str, Any]) -> bool:
        part = body["components"][component]
        seen[:] = [(code, body)]
        return part["status"] == status and bool(re.fullmatch(reasons, part["reason"] or ""))

    await stack.until_health(so, f"{component} is {status}: {reasons}")
    ((code, body),) = seen
    parts = {name: part["status"] for name, part in body["components"].items()}
    vital = any(parts[name] == "unhealthy" for name in VITAL)
    assert body["status"] == ("unhealthy" if vital else "degraded")
    assert code == (503 if vital else 200)
    assert body["components"][component]["message"]


def _has(wanted: Line, lines: Sequence[Mapping[str, Any]]) -> bool:
    return any(all(line.get(k, "absent") == v for k, v in wanted.items()) for line in lines)


def bugs(
    lines: Sequence[Mapping[str, Any]], *, expected: Collection[str] = ()
) -> Iterator[Mapping[str, Any]]:
    """Yield the lines of bugs of ours. Args: expected: beginnings of messages that are none."""
    for line in lines:
        told = line["message"]
        if told.startswith(tuple(expected)):
            continue
        grave = line["level"] == "CRITICAL" and line["event"] != "alert"
        if told in BUGS or grave or "traceback" in line:
            yield {k: line.get(k) for k in ("message", "job", "error", "error_type", "traceback")}
