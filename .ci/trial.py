"""The main job for real: the service replays a market, and over HTTP everything must add up.

Run by .ci/run after the tests, with the environment that `make run` made. Standard library only:
it looks at the service as any operator's script would.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data" / "krw-btc-1m-2020-02-20a.json"
OPENING_KRW = Decimal(10_000_000)  #: what the sandbox hands out
MARKET_SECONDS_A_SECOND = 180  #: three hours and twenty minutes in about a minute
TRADES_FOR_S = 60
STARTS_WITHIN_S = 60
STOPS_WITHIN_S = 15
SETTLES_WITHIN_S = 3

failures: list[str] = []
passed = 0


def check(what: str, true: object, detail: object = "") -> None:
    global passed
    if true:
        passed += 1
        print(f"ok    {what}")
    else:
        failures.append(what)
        print(f"FAIL  {what} {detail}")


def get(address: str, path: str) -> Any:
    with urllib.request.urlopen(address + path, timeout=10) as answer:
        return json.load(answer)


def everything(address: str, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = get(address, f"{path}?limit=500{cursor}")
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"&cursor={page['next_cursor']}"


def settled(address: str, path: str) -> list[dict[str, Any]]:
    """Return the rows there are now as they stand in a moment: the newest may be half-way."""
    there = {row["id"] for row in everything(address, path)}
    time.sleep(SETTLES_WITHIN_S)
    return [row for row in everything(address, path) if row["id"] in there]


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    variables = {k: v for k, v in os.environ.items() if not k.startswith("TRADER_")}
    variables |= {
        "TRADER_PORT": "0",
        "TRADER_DATA_DIR": str(folder / "var"),
        "TRADER_SPEED": str(MARKET_SECONDS_A_SECOND),
    }
    if SHARED.exists():
        print(f"replaying real candles: {SHARED.name}")
        variables["TRADER_CANDLES"] = str(SHARED)
    else:
        print("no real candles beside the checkout: the market is generated")
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "service", "run"], cwd=ROOT, env=variables, stdout=out,
            stderr=err, stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        if found := re.search(r"http://\S+", (folder / "err").read_text()):
            return process, found.group()
        time.sleep(0.05)
    process.kill()
    sys.exit(f"the service did not start:\n{(folder / 'err').read_text()}")


def check_story(address: str) -> None:
    health = get(address, "/health/detailed")
    stats = get(address, "/api/v1/market/collector/stats")
    signals = settled(address, "/api/v1/signals")
    orders = settled(address, "/api/v1/trading/orders")
    ids = {order["id"] for order in orders}
    fills = [f for f in everything(address, "/api/v1/trading/fills") if f["order_id"] in ids]
    print(
        f"      {len(signals)} signals, {len(orders)} orders, {len(fills)} fills,"
        f" health {health['status']}"
    )
    check("health knows all six components", len(health["components"]) == 6, health)
    check("the database and the jobs are healthy", health["status"] != "unhealthy", health)
    check("prices were collected", stats["items"][0]["rows"] > 100, stats)
    check("signals were made", len(signals) >= 4, signals)
    check("buys and sales were signalled", {s["action"] for s in signals} >= {"BUY", "SELL"})
    check("every signal has its decision", all(s["decision"] for s in signals))
    check("orders were placed", len(orders) >= 2, orders)
    check("every order is executed", {o["status"] for o in orders} == {"EXECUTED"}, orders)
    check("every order has fills", {o["id"] for o in orders} == {f["order_id"] for f in fills})
    check("no trade was booked twice", len({f["trade_uuid"] for f in fills}) == len(fills))


def check_money(address: str) -> None:
    """Σ fills explains every balance exactly (identities I4 and I5)."""
    fills = everything(address, "/api/v1/trading/fills")
    balances = {b["currency"]: b for b in get(address, "/api/v1/trading/balance")["items"]}
    position = get(address, "/api/v1/trading/position")["items"][0]
    krw, btc = OPENING_KRW, Decimal(0)
    for fill in fills:
        sign = 1 if fill["side"] == "BUY" else -1
        krw -= sign * Decimal(fill["funds"]) + Decimal(fill["fee"])
        btc += sign * Decimal(fill["volume"])
    held = Decimal(balances["BTC"]["total"]) if "BTC" in balances else Decimal(0)
    check("the fills explain the money exactly", Decimal(balances["KRW"]["total"]) == krw)
    check("the fills explain the coins exactly", held == btc)
    check("the position is what the fills add up to", Decimal(position["volume"]) == btc)


def check_log(folder: Path) -> None:
    lines = (folder / "out").read_bytes().splitlines()
    try:
        records = [json.loads(line) for line in lines]
    except ValueError as exc:
        check("every line of the log is JSON", False, exc)
        return
    check("every line of the log is JSON", records)
    check("every line has the contract's fields", all(
        {"timestamp", "level", "event", "message", "mode", "seq"} <= record.keys()
        for record in records
    ))  # fmt: skip
    check("no line is missing", [r["seq"] for r in records] == list(
        range(records[0]["seq"], records[0]["seq"] + len(records))
    ))  # fmt: skip
    bad = [r for r in records if r["level"] in {"ERROR", "CRITICAL"}]
    check("nothing failed", not bad, bad[:3])


def remove_moved(link: Path) -> None:
    """Remove the database of a directory that only root may enter: it lies elsewhere then."""
    if link.is_symlink():
        print(f"      the database was in {link.readlink()}")
        shutil.rmtree(link.readlink())


def main() -> int:
    # SystemExit passes the `finally` below: a cancelled run leaves no service behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # In the checkout, as `make run` has it, wherever that lies.
    with tempfile.TemporaryDirectory(
        prefix="trial-", dir=ROOT, ignore_cleanup_errors=True
    ) as name, ExitStack() as stack:  # fmt: skip
        folder = Path(name)
        folder.chmod(0o755)
        stack.callback(remove_moved, folder / "var" / "postgres" / "moved")
        process, address = start(folder)
        print(f"      {address}, trading for {TRADES_FOR_S} s")
        try:
            time.sleep(TRADES_FOR_S)
            check_story(address)
            # A round may be under way: the books and the balance are read between two rounds.
            urllib.request.urlopen(
                urllib.request.Request(
                    address + "/api/v1/config/trading_enabled",
                    data=b'{"value": false}',
                    headers={"Content-Type": "application/json"},
                    method="PATCH",
                ),
                timeout=10,
            )
            time.sleep(1)
            check_money(address)
        finally:
            process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
            code = None
        check("SIGTERM ends it cleanly", code == 0, code)
        check_log(folder)
        if failures:
            print((folder / "err").read_text()[-4000:])
            print((folder / "out").read_text()[-8000:])
    print(f"{passed} passed, {len(failures)} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
