"""A client that a generator makes of our document trades on the running service.

The generator stands in this environment only; the service runs as a process of its own.
"""

import importlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.conftest import OURS, PATIENCE_S, ROOT, STOPS_WITHIN_S, service_python

DOCUMENT = ROOT / "service" / "web" / "page" / "openapi.json"
TOKEN = "may-change-anything"
ORDER = {
    "market": "KRW-BTC",
    "side": "BUY",
    "type": "LIMIT",
    "price": "50000000",  # far below the market
    "volume": "0.001",
}
_ADDRESS = re.compile(r"http://\S+")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`trader run` in the sandbox, which gives no rights without the token."""
    folder = tmp_path_factory.mktemp("service")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    own = {
        "PYTHONPATH": str(ROOT),
        "TRADER_PORT": "0",
        "TRADER_DATA_DIR": str(folder / "var"),
        "TRADER_ADMIN_TOKEN": TOKEN,
    }
    words = folder / "stderr"
    with (
        words.open("wb") as err,
        subprocess.Popen(
            [service_python(), "-m", "service", "run"],
            cwd=folder,
            env=clean | own,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=err,
        ) as process,
    ):
        try:
            yield _opened(process, words)
        finally:
            process.terminate()
            process.wait(STOPS_WITHIN_S)


def _opened(process: subprocess.Popen[bytes], words: Path) -> str:
    """Return where the service listens, once it says that it does."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        said = words.read_text(encoding="utf-8")
        assert process.poll() is None, said
        if found := _ADDRESS.search(said):
            return found.group()
        time.sleep(0.05)  # it is another process: no event tells
    pytest.fail(f"the service opened no port: {words.read_text(encoding='utf-8')}")


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of the package that openapi-python-client makes of the shipped document."""
    name, folder = "trader_client", tmp_path_factory.mktemp("generated")
    made = subprocess.run(
        [
            Path(sys.executable).parent / "openapi-python-client",
            *("generate", "--path", DOCUMENT, "--meta", "none"),
            *("--output-path", folder / name),
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S * 2,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    missing = re.findall(r"WARNING parsing (\S+ \S+)", made.stdout + made.stderr)
    assert missing == ["GET /icon.svg"], "the generator leaves a route out"
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield name


class Api:
    """The generated client, and the answers of its operations."""

    def __init__(self, package: str, address: str, token: str | None) -> None:
        self._package = package
        made = importlib.import_module(package)
        self.client = made.AuthenticatedClient(address, token) if token else made.Client(address)
        self.models = importlib.import_module(f"{package}.models")

    def call(self, operation: str, *values: Any, **named: Any) -> Any:
        module = importlib.import_module(f"{self._package}.api.trading.{operation}")
        answer = module.sync_detailed(*values, client=self.client, **named)
        assert answer.parsed is not None, answer.content
        return answer


def test_the_client_places_reads_and_cancels_an_order(generated: str, address: str) -> None:
    api = Api(generated, address, TOKEN)
    body = api.models.LimitOrderBody.from_dict(ORDER)

    with api.client:
        placed = api.call("place_order", body=body, idempotency_key="k-1")
        again = api.call("place_order", body=body, idempotency_key="k-1")
        order = placed.parsed.id
        read = api.call("get_order", order).parsed
        listed = api.call("list_orders", market="KRW-BTC").parsed.items
        cancelled = api.call("cancel_order", order)
        missing = api.call("get_order", 999_999)

    assert (placed.status_code, again.status_code, cancelled.status_code) == (201, 200, 202)
    assert (again.parsed.id, read.id, cancelled.parsed.id) == (order, order, order)
    assert (read.price, read.volume) == (ORDER["price"], ORDER["volume"])
    assert read.created_at.tzinfo is not None
    assert order in [item.id for item in listed]
    assert (missing.status_code, missing.parsed.type_) == (404, "urn:trader:problem:not-found")


def test_without_the_token_the_client_gets_a_problem(generated: str, address: str) -> None:
    api = Api(generated, address, None)

    with api.client:
        answer = api.call("list_orders")

    assert (answer.status_code, answer.parsed.status) == (401, 401)
