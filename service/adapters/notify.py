"""Chat, mail and webhooks through apprise; the addresses hold secrets and are never shown.

apprise sends with blocking calls in threads. Its own pool has a handful of them, shared by all
targets and joined when the process ends: one target that trickles its answer would starve the
others and hold up the exit. So each send has a thread of its own that nobody waits for at the end,
and a target whose last send still hangs is not given another one.
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
from service.ports.alerts import Outgoing

if TYPE_CHECKING:
    import apprise

SEND_WITHIN_S: Final = 8.0  #: apprise waits four seconds for a connection, four for an answer
APP: Final = "upbit-ai-trader"

#: As apprise does: a comma or a blank may stand inside an address, unless another one follows.
_BETWEEN: Final = re.compile(r"[\s,;]+(?=[A-Za-z][A-Za-z0-9+.-]*://)")
#: Only here is the place of the host taken by a host; elsewhere a token stands there.
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
        """Return None when it was taken, else refused, timeout or busy.

        After a timeout it may be taken all the same: nothing can stop a blocking call.
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
                with suppress(RuntimeError):  # the loop has ended, and nobody waits
                    loop.call_soon_threadsafe(_resolve, taken, answer)

        self._thread = threading.Thread(target=work, name=f"alert {self.name}", daemon=True)
        self._thread.start()
        try:
            async with asyncio.timeout(self._within_s):
                return None if await taken else "refused"
        except TimeoutError:
            return "timeout"

    def _notify(self, message: Outgoing) -> bool:
        # It does not raise, whatever happens: the result is false.
        return bool(
            self._service.notify(
                title=title_of(message, mode=self._mode),
                body=body_of(message),
                notify_type="success" if message.is_recovery else _TYPES[message.severity],
                body_format="text",
            )
        )


def title_of(message: Outgoing, *, mode: str) -> str:
    word = "recovered" if message.is_recovery else message.severity
    return f"[{mode}] {word}: {message.title}"


def body_of(message: Outgoing) -> str:
    if message.occurrences > 1:
        return f"{message.body}\nSeen {message.occurrences} times."
    return message.body or message.title  # several services refuse an empty text


def open_targets(urls: str, *, mode: str) -> Sequence[AppriseTarget]:
    """Return a target for each address of `urls`, separated by blanks, commas or line breaks.

    Raises: ConfigError, naming the place of each bad address, never the address.
    """
    addresses = [address for address in _BETWEEN.split(urls.strip(" \t\r\n,;")) if address]
    if not addresses:
        return ()
    with warnings.catch_warnings():
        # Its plugins import imghdr, which Python 3.11 and 3.12 call deprecated, here and as the
        # first address is read.
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
    # Imported here: it takes a quarter of a second that nobody without an address should wait.
    import apprise  # noqa: PLC0415

    asset = apprise.AppriseAsset(
        app_id=APP,
        app_desc=APP,
        app_url="",
        async_mode=False,  # in the thread that asks, not in its pool
        http_redirects=False,  # a redirect would carry tokens to somebody else
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
