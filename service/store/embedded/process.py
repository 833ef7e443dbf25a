"""The server process of one cluster, and the file locks that show which processes live."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from service.domain.errors import StartError
from service.store.embedded.binaries import ServerAccount, clean_environment

_POLL_S: Final = 0.01


@contextmanager
def locked(path: Path, *, within_s: float) -> Iterator[int]:
    """Hold an exclusive lock on `path`. Raises: TimeoutError."""
    with path.open("ab") as file:
        until = time.monotonic() + within_s
        while not try_lock(file.fileno()):
            if time.monotonic() >= until:
                raise TimeoutError
            time.sleep(_POLL_S)
        yield file.fileno()


def try_lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class Postmaster:
    """The server process of one cluster, ours or one that an earlier process left running.

    The server and all its children inherit a lock on `alive`: while any of them lives, no other
    process can take it. The lock is right where `postmaster.pid` alone misleads: dead and re-used
    process ids, zombies, orphaned backends and other containers.
    """

    def __init__(self, cluster: Path, alive: Path, log: Path) -> None:
        self._cluster = cluster
        self._alive = alive
        self._log = log
        self._child: subprocess.Popen[bytes] | None = None

    def is_alive(self) -> bool:
        """Return whether any process of the server lives, orphans included."""
        with self._alive.open("ab") as file:
            return not try_lock(file.fileno())

    def is_ready(self) -> bool:
        return self.is_alive() and self._note(7) == "ready"

    def pid(self) -> int | None:
        """Return the running postmaster's process id; never that of another program."""
        noted = self._note(0)
        if noted is None or not noted.isdigit():
            return None
        try:
            command = Path(f"/proc/{noted}/cmdline").read_bytes()
        except OSError:
            return None
        return int(noted) if os.fsencode(self._cluster) in command.split(b"\0") else None

    def socket_directory(self) -> str | None:
        """Return the directory of the running server's socket."""
        return self._note(4)

    def _note(self, line: int) -> str | None:
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except OSError:
            return None
        return lines[line].strip() if line < len(lines) else None

    def start(
        self,
        installed: Path,
        settings: Mapping[str, str],
        socket_directory: Path,
        account: ServerAccount | None,
    ) -> None:
        """Start the server; the caller holds the start lock and has checked that none is alive."""
        if (other := self.pid()) is not None:
            raise StartError(
                f"Process {other} already serves {self._cluster} and was not started by this"
                " program: end it first"
            )
        # No process of the server lives (see the class), so these files are a dead server's.
        for stale in (self._cluster / "postmaster.pid", *socket_directory.glob(".s.PGSQL.*")):
            stale.unlink(missing_ok=True)
        command = [str(installed / "bin" / "postgres"), "-D", str(self._cluster)]
        quoted = str(socket_directory).replace('"', '""')
        for name, value in {**settings, "unix_socket_directories": f'"{quoted}"'}.items():
            command += ["-c", f"{name}={value}"]
        with self._alive.open("ab") as alive, self._log.open("ab") as log:
            if not try_lock(alive.fileno()):
                raise StartError(f"{self._cluster} is in use")
            self._child = subprocess.Popen(  # noqa: S603 - our own program
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=clean_environment(),
                pass_fds=(alive.fileno(),),
                start_new_session=True,  # Ctrl-C at the terminal must not end the server
                umask=0o077,
                **(account.as_process() if account else {}),
            )

    def wait_until_ready(self, *, within_s: float) -> bool:
        """Wait until the server is ready; False when it ended or took too long."""
        until = time.monotonic() + within_s
        while not self.is_ready():
            ended = self._child is not None and self._child.poll() is not None
            if ended or not self.is_alive() or time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        return True

    def wait_until_gone(self, *, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while self.is_alive():
            if time.monotonic() >= until:
                return False
            time.sleep(_POLL_S)
        return True

    def stop(self, *, fast_s: float, immediate_s: float) -> bool:
        """End the server by SIGINT, then by SIGQUIT; False when a process of it still lives."""
        for sign, within_s in ((signal.SIGINT, fast_s), (signal.SIGQUIT, immediate_s)):
            if (pid := self.pid()) is not None:
                with suppress(ProcessLookupError):
                    os.kill(pid, sign)
            if self.wait_until_gone(within_s=within_s):
                break
        self.let_go()
        return not self.is_alive()

    def let_go(self) -> None:
        """Forget the child process: reap it if it has ended, else leave it running."""
        if self._child is not None and self._child.poll() is None:
            with suppress(subprocess.TimeoutExpired):
                self._child.wait(timeout=0 if self.is_alive() else 5)
        if self._child is not None and self._child.returncode is None:
            self._child.returncode = 0  # it keeps running on purpose: no "still running" warning
        self._child = None
