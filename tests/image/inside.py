"""The first process of the image's namespaces: what `docker run --init` would be, and the checks.

`python -m tests.image.inside ROOT FOLDER`, started by tests.image.build. The network namespace has
a loopback and nothing else: the image's own address 0.0.0.0 and port are used as they are, and
no other machine can reach them.
"""

import json
import os
import secrets
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fcntl import ioctl
from pathlib import Path
from typing import Any, Final

ACCOUNT: Final = 10001
TOKEN: Final = secrets.token_hex(32)
#: Three market minutes a second, so that there is a signal and an order within seconds.
RUN_WITH: Final = {"TRADER_ADMIN_TOKEN": TOKEN, "TRADER_SPEED": "180"}
TRADES_WITHIN_S: Final = 180
STOPS_WITHIN_S: Final = 30  #: the --stop-timeout of docs/operations.md
ANSWERS_WITHIN_S: Final = 10
GONE_WITHIN_S: Final = 5
NANOSECONDS: Final = 1_000_000_000
ADDRESS: Final = "http://127.0.0.1:8080"

_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


class Checks:
    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def check(self, what: str, true: object, detail: object = "") -> None:
        if true:
            self.passed += 1
            print(f"         ok    {what}", flush=True)
        else:
            self.failed += 1
            print(f"         FAIL  {what} {detail}", flush=True)


def raise_loopback() -> None:
    """Start the interface `lo`, which is down in a new namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        ioctl(control, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))


def mount(root: Path, folder: Path) -> None:
    """Mount what an engine mounts, with compose.yaml's limits: nothing else can be written."""
    (root / "etc/hosts").write_text("127.0.0.1 localhost\n")
    volume = folder / "data"
    volume.mkdir(mode=0o700)
    os.chown(volume, ACCOUNT, ACCOUNT)
    for arguments in (
        ("--bind", root, root),
        ("-o", "remount,bind,ro", root),
        ("-t", "proc", "proc", root / "proc"),
        ("-t", "tmpfs", "-o", "mode=755", "tmpfs", root / "dev"),
        ("-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", root / "tmp"),
        ("--bind", volume, root / "data"),
    ):
        subprocess.run(["mount", *arguments], check=True)
    for name in ("null", "zero", "full", "random", "urandom"):
        (root / "dev" / name).touch()
        subprocess.run(["mount", "--bind", f"/dev/{name}", root / "dev" / name], check=True)
    (root / "dev/shm").mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "mode=1777,size=64m", "tmpfs", root / "dev/shm"], check=True
    )


def command(root: Path, config: dict[str, Any], what: list[str]) -> list[str]:
    """Return `what` as the image's account runs it: no capability, no privilege to gain."""
    variables = config["Env"] + [f"{name}={value}" for name, value in RUN_WITH.items()]
    user, _, group = config["User"].partition(":")
    return [
        "chroot", str(root),
        "setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups",
        "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs",
        "env", "--ignore-environment", f"--chdir={config['WorkingDir']}", *variables, *what,
    ]  # fmt: skip


def complaint(root: Path, config: dict[str, Any]) -> str | None:
    """Run the image's health check once: None when it says healthy, else what it said."""
    probe = config["Healthcheck"]
    limit_s = probe["Timeout"] / NANOSECONDS
    try:
        ended = subprocess.run(
            command(root, config, probe["Test"][1:]),
            capture_output=True, text=True, check=False, timeout=limit_s,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"no answer within {limit_s:.0f} s"
    return None if ended.returncode == 0 else ended.stdout + ended.stderr


def within(limit_s: float, look: Callable[[], Any]) -> Any:
    """Return the first answer of `look` that is true, or the last one when time is over."""
    end = time.monotonic() + limit_s
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.5)
    return found


def get(path: str, *, token: str = "") -> tuple[int, Any]:
    """Return status and body; status 0 when nothing answers."""
    request = urllib.request.Request(ADDRESS + path)
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=ANSWERS_WITHIN_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, None
    except OSError:
        return 0, None


def items(path: str) -> list[dict[str, Any]]:
    _, body = get(path, token=TOKEN)
    found: list[dict[str, Any]] = body["items"] if body else []
    return found


def processes(root: Path) -> dict[int, str]:
    """Return what runs in the namespace beside this process, number -> account and name."""
    found = {}
    for entry in (root / "proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with suppress(OSError):
                lines = (entry / "status").read_text().splitlines()
                status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
                found[int(entry.name)] = f"{status['Uid'].split()[0]} {status['Name']}"
    return found


def left_over(root: Path) -> dict[int, str]:
    """Return what still runs. Orphans that have ended are reaped first, as an init does."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    return processes(root)


@contextmanager
def service(root: Path, config: dict[str, Any], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        started = subprocess.Popen(
            command(root, config, config["Cmd"]),
            stdin=subprocess.DEVNULL, stdout=out, stderr=err,
        )  # fmt: skip
        try:
            yield started
        finally:
            started.kill()
            started.wait()


def check_running(checks: Checks, root: Path, config: dict[str, Any]) -> None:
    patience_s = config["Healthcheck"]["StartPeriod"] / NANOSECONDS
    complaints: list[str | None] = []

    def is_healthy() -> bool:
        complaints.append(complaint(root, config))
        return complaints[-1] is None

    healthy = within(patience_s, is_healthy)
    checks.check("the image's health check says healthy", healthy, complaints[-1])
    running = processes(root)
    accounts = {line.split()[0] for line in running.values()}
    checks.check("every process is the account 10001's", accounts == {str(ACCOUNT)}, running)
    status, _ = get("/api/v1/trading/orders")
    checks.check("without the token nothing but health is shown", status == 401, status)
    fills = within(TRADES_WITHIN_S, lambda: items("/api/v1/trading/fills"))
    checks.check("it trades: there is a fill", fills)
    executed = [o["id"] for o in items("/api/v1/trading/orders") if o["status"] == "EXECUTED"]
    checks.check("the filled order is executed", {f["order_id"] for f in fills} & {*executed})
    # As an engine does: so many failures in a row are one verdict.
    asked = (complaint(root, config) for _ in range(config["Healthcheck"]["Retries"]))
    checks.check("it is healthy while it trades", None in (said := [*asked]), said)


def check_log(checks: Checks, folder: Path) -> None:
    try:
        records = [json.loads(line) for line in (folder / "out").read_bytes().splitlines()]
    except ValueError as exc:
        checks.check("every line of the log is JSON", None, exc)
        return
    bad = [record for record in records if record["level"] in {"ERROR", "CRITICAL"}]
    checks.check("nothing failed, says the log", records and not bad, bad[:3])


def main() -> int:
    root, folder = map(Path, sys.argv[1:])
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    checks = Checks()
    raise_loopback()
    mount(root, folder)
    checks.check("the image names its account", config["User"] == f"{ACCOUNT}:{ACCOUNT}")
    checks.check("its health check is a command", config["Healthcheck"]["Test"][0] == "CMD")
    with service(root, config, folder) as started:
        check_running(checks, root, config)
        started.send_signal(getattr(signal, config["StopSignal"]))
        with suppress(subprocess.TimeoutExpired):
            started.wait(STOPS_WITHIN_S)
        code = started.poll()
    checks.check(f"{config['StopSignal']} ends it with exit code 0", code == 0, code)
    within(GONE_WITHIN_S, lambda: not left_over(root))
    left = left_over(root)
    checks.check("nothing of it is left running, its database neither", not left, left)
    check_log(checks, folder)
    if checks.failed:
        print((folder / "err").read_text()[-4000:])
        print((folder / "out").read_text()[-8000:])
    print(f"         {checks.passed} passed, {checks.failed} failed", flush=True)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
