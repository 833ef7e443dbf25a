"""`trader order`: what it asks of the service, what it prints, and how it ends."""

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final
from uuid import UUID

import pytest

from tests.unit.cli.conftest import Main

ORDERS: Final = "/api/v1/trading/orders"
ORDER: Final[dict[str, Any]] = {
    "id": 7, "identifier": "t-1", "exchange_uuid": "u-1", "market": "KRW-BTC", "side": "BUY",
    "type": "LIMIT", "price": "90000000", "volume": "0.001", "funds": None, "status": "SUBMITTED",
    "reason": None, "executed_volume": "0", "executed_funds": "0", "average_price": None,
    "paid_fee": "0", "decision_id": None, "created_at": "2026-01-24T09:00:00.000Z",
    "stuck": False, "what_to_do": None, "origin": "SERVICE",
    "fills": [{"traded_at": "2026-01-24T09:00:01.000Z", "price": "90000000", "volume": "0.0004",
               "funds": "36000", "fee": "18"}],
}  # fmt: skip
BOUGHT: Final = ORDER | {
    "id": 8, "type": "MARKET", "price": None, "volume": None, "funds": "50000",
    "status": "UNKNOWN", "what_to_do": "look \x1b[2Jat it",
}  # fmt: skip
EXTERNAL: Final = {
    "origin": "EXTERNAL", "exchange_uuid": "x-1", "market": "KRW-ETH", "side": "SELL",
    "type": None, "price": None, "volume": None, "funds": None, "executed_volume": "0",
    "created_at": "2026-01-24T09:00:00Z",
}  # fmt: skip


@dataclass
class Asked:
    address: str
    requests: list[tuple[str, str, Any, str | None]] = field(default_factory=list)


@contextmanager
def a_service(body: object, *, status: int = 200, interrupts: bool = False) -> Iterator[Asked]:
    """Answer every request with `body`; yield the address and what was asked.

    Args: interrupts: whether Ctrl-C comes while the command waits for the answer.
    """
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            sent = json.loads(self.rfile.read(length)) if length else None
            key = self.headers["Idempotency-Key"]
            asked.requests.append((self.command, self.path, sent, key))
            if interrupts:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        do_POST = do_GET  # noqa: N815 - its name

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        asked = Asked(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("arguments", "body"),
    [
        (
            ("buy", "KRW-BTC", "--price", "90000000", "--volume", "0.001"),
            {"side": "BUY", "type": "LIMIT", "price": "90000000", "volume": "0.001"},
        ),
        (
            ("BUY", "KRW-BTC", "--funds", "50000"),
            {"side": "BUY", "type": "MARKET", "funds": "50000"},
        ),
        (("sell", "KRW-BTC", "--volume", "1"), {"side": "SELL", "type": "MARKET", "volume": "1"}),
    ],
)
def test_place_asks_for_what_its_words_say_with_a_key_of_its_own(
    main: Main, arguments: tuple[str, ...], body: dict[str, Any]
) -> None:
    with a_service(ORDER, status=201) as asked:
        codes = [main("order", "place", *arguments, "--url", asked.address)[0] for _ in range(2)]

    assert codes == [0, 0]
    assert [request[:3] for request in asked.requests] == [
        ("POST", ORDERS, {"market": "KRW-BTC"} | body)
    ] * 2
    first, second = (UUID(str(key)) for *_, key in asked.requests)
    assert first != second, "a key is made for each order"


def test_a_placed_order_is_one_line_or_the_services_own_document(main: Main) -> None:
    words = ("order", "place", "buy", "KRW-BTC", "--price", "90000000", "--volume", "0.001")
    with a_service(ORDER, status=201) as asked:
        plain = main(*words, "--key", "k-1", "--url", asked.address)
        document = main(*words, "--key", "k-1", "--json", "--url", asked.address)

    assert plain == (0, "7: SUBMITTED, BUY LIMIT KRW-BTC 0.001 at 90000000\n", "")
    assert json.loads(document[1]) == ORDER
    assert {key for *_, key in asked.requests} == {"k-1"}


def test_a_refusal_is_a_sentence_with_its_rule_and_ends_with_1(main: Main) -> None:
    problem = {"detail": "purchases are \x1b[2Jhalted", "rule": "trading_enabled", "status": 409}
    with a_service(problem, status=409) as asked:
        code, out, err = main(
            "order", "place", "buy", "KRW-BTC", "--funds", "50000", "--url", asked.address
        )

    assert (code, out) == (1, "")
    assert err == "refused by the rule trading_enabled: purchases are �[2Jhalted\n"


def test_an_order_that_the_exchange_refused_is_printed_and_ends_with_1(main: Main) -> None:
    failed = ORDER | {"status": "FAILED", "reason": "insufficient_funds_bid"}
    with a_service(failed, status=201) as asked:
        code, out, err = main(
            "order", "place", "buy", "KRW-BTC", "--funds", "5000", "--url", asked.address
        )

    assert (code, err) == (1, "")
    assert "FAILED" in out
    assert "(insufficient_funds_bid)" in out


@pytest.mark.parametrize(("status", "body"), [(503, {"detail": "away"}), (200, b"<html>")])
def test_without_a_certain_answer_the_key_is_told_that_finds_the_order(
    main: Main, status: int, body: object
) -> None:
    with a_service(body, status=status) as asked:
        code, out, err = main(
            "order", "place", "buy", "KRW-BTC", "--funds", "5000", "--url", asked.address
        )

    *_, key = asked.requests[0]
    assert (code, out) == (2, "")
    assert f"--key {key} finds that order or places it, never a second one" in err
    assert err.count("\n") == 1


def test_a_certain_no_is_a_sentence_without_a_key(main: Main) -> None:
    with a_service({"detail": "the price is off the tick"}, status=422) as asked:
        code, out, err = main(
            "order", "place", "buy", "KRW-BTC", "--funds", "5000", "--url", asked.address
        )

    assert (code, out) == (2, "")
    assert err == f"{asked.address} says no (422): the price is off the tick\n"


@pytest.mark.parametrize("key", ["", "a b", "a\nb", "가", "k" * 256])
def test_a_key_that_no_header_can_carry_asks_nothing(main: Main, key: str) -> None:
    with a_service(ORDER) as asked:
        code, _, err = main(
            "order", "place", "buy", "KRW-BTC", "--funds", "1", "--key", key, "--url", asked.address
        )

    assert (code, asked.requests) == (2, [])
    assert "--key" in err


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("SUBMITTED", "; cancel accepted, the service follows the order until it is final"),
        ("CANCELLED", ""),
    ],
)
def test_cancel_says_that_accepted_is_not_done(main: Main, status: str, words: str) -> None:
    with a_service(ORDER | {"status": status}, status=202) as asked:
        code, out, _ = main("order", "cancel", "7", "--url", asked.address)

    assert asked.requests == [("POST", f"{ORDERS}/7/cancel", None, None)]
    assert (code, out) == (0, f"7: {status}, BUY LIMIT KRW-BTC 0.001 at 90000000{words}\n")


def test_a_word_about_an_order_that_never_arrived_prints_its_end(main: Main) -> None:
    ended = ORDER | {"status": "FAILED", "reason": "not_placed_by_operator"}
    with a_service(ended) as asked:
        code, out, err = main("order", "not-placed", "7", "--url", asked.address)

    assert asked.requests == [("POST", f"{ORDERS}/7/not-placed", None, None)]
    assert (code, err) == (0, "")
    assert out == "7: FAILED, BUY LIMIT KRW-BTC 0.001 at 90000000 (not_placed_by_operator)\n"


def test_a_word_that_a_rule_refuses_ends_with_1(main: Main) -> None:
    problem = {"detail": "the exchange has order 7", "rule": "on_the_exchange", "status": 409}
    with a_service(problem, status=409) as asked:
        code, out, err = main("order", "not-placed", "7", "--url", asked.address)

    assert (code, out) == (1, "")
    assert err == "refused by the rule on_the_exchange: the exchange has order 7\n"


def test_a_word_without_an_answer_is_a_sentence(main: Main) -> None:
    with a_service({"detail": "Upbit did not answer"}, status=503) as asked:
        code, out, err = main("order", "not-placed", "7", "--url", asked.address)

    assert (code, out) == (2, "")
    assert "Upbit did not answer" in err


def test_the_list_is_a_table_with_advice_and_nothing_that_steers_a_terminal(main: Main) -> None:
    with a_service({"items": [BOUGHT, ORDER], "next_cursor": None}) as asked:
        code, out, err = main(
            "order", "list", "--market", "KRW-BTC", "--status", "unknown", "--url", asked.address
        )

    assert (code, err) == (0, "")
    assert asked.requests[0][1] == f"{ORDERS}?market=KRW-BTC&status=UNKNOWN&limit=20"
    titles, bought, limit = (line.split() for line in out.splitlines())
    assert titles == [
        "id", "created", "market", "side", "type", "price", "asked", "executed", "status", "note"
    ]  # fmt: skip
    assert bought[4:] == ["MARKET", "-", "50000", "KRW", "0", "UNKNOWN", "look", "�[2Jat", "it"]
    assert limit[4:] == ["LIMIT", "90000000", "0.001", "0", "SUBMITTED"]


def test_orders_of_other_programs_are_a_list_of_their_own(main: Main) -> None:
    page = {"items": [EXTERNAL], "unreadable": 0, "age_seconds": 0.5}
    with a_service(page) as asked:
        plain = main("order", "list", "--external", "--url", asked.address)
        document = main("order", "list", "--external", "--json", "--url", asked.address)
        mixed = main("order", "list", "--external", "--status", "OPEN", "--url", asked.address)

    assert {request[1] for request in asked.requests} == {f"{ORDERS}/external"}
    assert plain[1].splitlines()[1].split() == [
        "x-1", "2026-01-24T09:00:00Z", "KRW-ETH", "SELL", "-", "-", "-", "0"
    ]  # fmt: skip
    assert json.loads(document[1]) == page
    assert (mixed[0], mixed[1]) == (2, "")


def test_one_order_is_shown_with_its_fills(main: Main) -> None:
    with a_service(ORDER) as asked:
        code, out, _ = main("order", "show", "7", "--url", asked.address)
        document = main("order", "show", "7", "--json", "--url", asked.address)

    assert asked.requests[0][:2] == ("GET", f"{ORDERS}/7")
    lines = out.splitlines()
    assert (code, lines[:3]) == (0, ["id: 7", "status: SUBMITTED", "market: KRW-BTC"])
    assert "reason" not in out
    assert lines[-1].split() == ["2026-01-24T09:00:01.000Z", "90000000", "0.0004", "36000", "18"]
    assert json.loads(document[1]) == ORDER


@pytest.mark.parametrize("body", [{}, [], None, {"items": 1}, b"<html>"])
@pytest.mark.parametrize("words", [("list",), ("show", "7"), ("cancel", "7"), ("not-placed", "7")])
def test_an_answer_that_is_not_ours_is_said_to_be_none(
    main: Main, words: tuple[str, ...], body: object
) -> None:
    with a_service(body) as asked:
        code, out, err = main("order", *words, "--url", asked.address)

    assert (code, out) == (2, "")
    assert "is not this service" in err


@pytest.fixture
def sigint_raises() -> Iterator[None]:
    """A run in the background of a shell begins with SIGINT ignored, and so do its tests."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint_raises")
def test_an_interrupted_command_tells_the_key(main: Main) -> None:
    with a_service(ORDER, status=201, interrupts=True) as asked:
        code, out, err = main(
            "order", "place", "buy", "KRW-BTC", "--funds", "1", "--key", "k-9", "--url",
            asked.address,
        )  # fmt: skip

    assert (code, out) == (130, "")
    assert "--key k-9 finds that order" in err
