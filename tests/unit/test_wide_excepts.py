"""Where the service catches every exception, and where it starts a task of its own.

Both hide faults: the first swallows a bug, the second may fail without a witness. So each place is
listed with its reason. A handler that ends in a bare `raise` swallows nothing and needs no row.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

SERVICE: Final = Path(__file__).parents[2] / "service"

EVERY_EXCEPTION: Final = {
    "bus.py publish": "the other subscribers still get the event",
    "cli/root.py _sentences": "Python would print its text, and a row with amounts, to stderr",
    "domain/risk/decide.py _judged": "a check that cannot be made refuses; the flow says so",
    "flows/all_markets.py step": "a bug about one market is that market's: the others trade",
    "flows/follow_exits.py attempt": "a bug about one market is that market's: others are sold",
    "flows/flatten.py _tried": "a bug about one market is that market's: the others are sold",
    "flows/leadership.py settle": "without trading the process still shows and keeps the halts",
    "flows/live_prices.py _tell": "a bug of one subscriber keeps no price from the others",
    "flows/reconcile.py _settle": "a bug about one order is that order's: the others are settled",
    "flows/reconcile.py _failed_about": "an order that cannot even be put aside stops no other",
    "loops/runner.py _attempt": "a loop outlives a bug in its step",
    "loops/runner.py _read_switch": "a loop outlives a setting that cannot be read",
    "loops/runner.py _period": "a loop outlives a setting that cannot be read",
    "loops/runner.py _observed": "a pass that is done does not fail for its record",
    "web/middleware.py _answered": "a bug in one handler is answered 500 and logged whole",
    "ops/logs/formatter.py render": "loguru would print the record, unmasked, to stderr",
    "ops/logs/patcher.py __call__": "loguru runs patchers in the code that logs, which goes on",
    "ops/logs/patcher.py _exception": "a foreign __notes__ or __cause__ raises anything",
    "ops/logs/masking.py _walked": "a foreign mapping or property raises anything",
    "ops/logs/redaction.py safe_str": "a foreign __str__ or __repr__ raises anything",
    "ops/logs/stdlib.py emit": "the arguments of a foreign log call need not fit its template",
    "ops/logs/writer.py _put_directly": "a log stream raises anything, the caller goes on",
    "ops/logs/writer.py _written": "a log stream raises anything, the write is tried again",
    "ops/logs/writer.py _say": "stderr is the last place to report to",
}

TASKS: Final = {
    "adapters/upbit/stream/client.py _read": "reads on while its taker works; cancelled at its end",
    "flows/follow_exits.py run": "one exit must not wait for another; cancelled with the loop",
    "app/serve.py _unless": "awaits the work and the signal at once, and cancels both at its end",
    "loops/supervisor.py _until_its_end": "outlives its loop's end; awaited and cancelled here",
    "ops/health/probe.py start_if_due": "a probe that hangs must not hold up the others",
    "sandbox/stream/connection.py serve": "sends while the same call reads; cancelled at its end",
    "settings/cache.py _start": "one load for many readers outlives the reader that began it",
    "store/database/listen.py _receive": "awaits a payload and the stop at once, and cancels both",
}

_WIDE: Final = {"Exception", "BaseException"}
_STARTS: Final = {"create_task", "ensure_future", "run_coroutine_threadsafe"}


class Finder(ast.NodeVisitor):
    """Collects the functions that catch everything, and those that start a task."""

    def __init__(self) -> None:
        self.catching: set[str] = set()
        self.starting: set[str] = set()
        self._function = "<module>"

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self._function = self._function, node.name
        self.generic_visit(node)
        self._function = outer

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815 - ast's name

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        if _is_wide(node.type) and not _raises_again(node):
            self.catching.add(self._function)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = _last_name(node.func)
        if name in _STARTS:
            self.starting.add(self._function)
        if name == "suppress" and any(_is_wide(kind) for kind in node.args):
            self.catching.add(self._function)
        self.generic_visit(node)


def _is_wide(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    kinds = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(_last_name(each) in _WIDE for each in kinds)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def found(source: str) -> Finder:
    finder = Finder()
    finder.visit(ast.parse(source))
    return finder


def places() -> Iterator[tuple[str, Finder]]:
    for path in SERVICE.rglob("*.py"):
        yield path.relative_to(SERVICE).as_posix(), found(path.read_text(encoding="utf-8"))


@pytest.mark.proves("S7.1")
def test_every_exception_is_caught_only_where_a_reason_stands() -> None:
    catching = {f"{place} {name}" for place, finder in places() for name in finder.catching}

    assert catching == set(EVERY_EXCEPTION)


@pytest.mark.proves("S7.1")
def test_a_task_is_started_only_where_a_reason_stands() -> None:
    starting = {f"{place} {name}" for place, finder in places() for name in finder.starting}

    assert starting == set(TASKS)


@pytest.mark.parametrize(
    "handler",
    [
        "except:",
        "except Exception:",
        "except (OSError, Exception) as exc:",
        "except BaseException:",
    ],
)
def test_the_finder_sees_every_form_of_a_wide_except(handler: str) -> None:
    swallowed = f"def f():\n    try:\n        g()\n    {handler}\n        pass\n"
    raised = swallowed.replace("pass", "raise")

    assert found(swallowed).catching == {"f"}
    assert found(raised).catching == set()


def test_the_finder_sees_a_wide_suppress_and_every_form_of_a_task() -> None:
    source = """
async def f():
    with contextlib.suppress(Exception):
        asyncio.ensure_future(g())

async def h():
    with suppress(OSError):
        create_task(g())
"""

    finder = found(source)

    assert (finder.catching, finder.starting) == ({"f"}, {"f", "h"})
