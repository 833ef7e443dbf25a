"""Chat, mail and webhooks through apprise; the addresses hold secrets and are never shown.

apprise sends with blocking calls in threads. All targets share its small thread pool, which is
joined when the process ends: one slow target would delay the others and the exit. So each send has
a daemon thread of its own, which the exit does not join. A target whose last send still runs gets
no further one.
"""

import asyncio
import re
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from service.domain.alerts import Severity
from service.domain.errors import ConfigError
from service.domain.instants import rfc3339
from service.ports.alerts import Outgoing

if TYPE_CHECKING:
    import apprise

SEND_WITHIN_S: Final = 8.0  #: apprise waits four seconds for a connection, four for an answer
APP: Final = "upbit-ai-trader"

#: As in apprise: a comma or blank separates addresses only if another address follows it.
_BETWEEN: Final = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
#: Only these schemes have a host in the host's place; others have a token there.
_SHOW_HOST: Final = frozenset(
    {"json", "jsons", "form", "forms", "xml", "xmls", "mailto", "mailtos", "gotify", "gotifys"}
    | {"mmost", "mmosts", "rocket", "rockets", "apprise", "apprises"}
)
_TYPES: Final[Mapping[Severity, str]] = {
    "info": "info",
    "warning": "warning",
    "error": "failure",
    "critical": "failure",
}


class AppriseTarget:
    """Satisfies ports.Target."""

    def __init__(
        self, name: str, service: "apprise.Apprise", *, mode: str, within_s: float = SEND_WITHIN_S
    ) -> None:
        self.name = name
        self._service = service
        self._mode = mode
        self._within_s = within_s
        self._thread: threading.Thread | None = None

    async def send(self, message: Outgoing) -> str | None:
        """Return None when the target accepted it, else refused, timeout or busy.

        After a timeout the target may still accept it: a blocking call cannot be stopped.
        """
        if self._thread is not None and self._thread.is_alive():
            return "busy"
        loop = asyncio.get_running_loop()
        taken: asyncio.Future[bool] = loop.create_future()

        def work() -> None:
            answer = False
            try:
                answer = self._notify(message)
            finally:
                with suppress(RuntimeError):  # the event loop has ended, so no task waits
                    loop.call_soon_threadsafe(_resolve, taken, answer)

        self._thread = threading.Thread(target=work, name=f"alert {self.name}", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(self._within_s):
                return None if await taken else "refused"
        except TimeoutError:
            return "timeout"

    def _notify(self, message: Outgoing) -> bool:
        # apprise never raises: after any error it returns False.
        return bool(
            self._service.notify(
                title=title_of(message, mode=self._mode),
                body=body_of(message),
                notify_type="success" if message.is_recovery else _TYPES[message.severity],
                body_format="text",
            )
        )


def title_of(message: Outgoing, *, mode: str) -> str:
    still = ", still" if message.told_again else ""
    word = "recovered" if message.is_recovery else f"{message.severity}{still}"
    return f"[{mode}] {word}: {message.title}"


def body_of(message: Outgoing) -> str:
    lines = [message.body] if message.body else []
    if message.occurrences > 1:
        lines.append(f"Seen {message.occurrences} times.")
    if message.told_again and message.since is not None:
        lines.append(
            f"Told again since {rfc3339(message.since)}, until it is over or acknowledged:"
            f" trader alert acknowledge {message.id}"
        )
    return "\n".join(lines) or message.title  # several services refuse an empty text


def open_targets(urls: str, *, mode: str) -> Sequence[AppriseTarget]:
    """Return a target for each address of `urls`, separated by blanks, commas or line breaks.

    Raises: ConfigError, with the position of each bad address, never the address.
    """
    addresses = [address for address in _BETWEEN.split(urls.strip(" \t\r\n,;")) if address]
    if not addresses:
        return ()
    with warnings.catch_warnings():
        # Its plugins import imghdr, which Python 3.11 and 3.12 deprecate: at its import and when
        # the first address is read.
        warnings.filterwarnings("ignore", message=".*imghdr.*", category=DeprecationWarning)
        opened = [
            _opened(address, place, mode=mode) for place, address in enumerate(addresses, start=1)
        ]
    bad = [str(place) for place, target in enumerate(opened, start=1) if target is None]
    if bad:
        raise ConfigError(
            f"TRADER_ALERT_URLS: of its {len(addresses)} address(es) number {', '.join(bad)} cannot"
            " be used: its service is unknown or a part of it is missing; see docs/alerts.md"
        )
    return tuple(target for target in opened if target is not None)


def _opened(address: str, place: int, *, mode: str) -> AppriseTarget | None:
    # Imported here: the import takes a quarter of a second, needed only with an address.
    import apprise  # noqa: PLC0415

    asset = apprise.AppriseAsset(
        app_id=APP,
        app_desc=APP,
        app_url="",
        async_mode=False,  # in the calling thread, not in its pool
        http_redirects=False,  # a redirect would carry tokens to another host
        secure_logging=True,
        allow_templates=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
    )
    if re.search(r"\s", address):
        return None
    service = apprise.Apprise.instantiate(address, asset=asset)
    if service is None:
        return None
    sender = apprise.Apprise(asset=asset)
    sender.add(service)
    scheme = address.partition("://")[0].lower()
    name = f"{place}:{scheme}"
    if scheme in _SHOW_HOST:
        port = f":{service.port}" if service.port else ""
        name = f"{name}://{service.host}{port}"
    return AppriseTarget(name, sender, mode=mode)


def _resolve(taken: "asyncio.Future[bool]", answer: bool) -> None:  # noqa: FBT001 - a callback
    if not taken.done():
        taken.set_result(answer)
