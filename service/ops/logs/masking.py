"""Takes secrets and balances out of what is logged: by name, by shape and by value."""

from collections.abc import Iterable
from enum import Enum
from functools import lru_cache
from typing import Final

from service.ops.logs.field_names import kind_of
from service.ops.logs.known_secrets import KnownSecrets
from service.ops.logs.redaction import Redaction, shortened
from service.ops.logs.secret_patterns import scrub
from service.ports.store import JSON

LONGEST: Final = 16_384  #: characters looked at; the rest of a longer text is only counted
_MARGIN: Final = 1_024  #: a secret cut in two by that is not recognised, so the edge goes too
_CACHED: Final = 256  #: characters; messages and words repeat, long texts do not
_INT64: Final = 2**63
_NUMBERS: Final = (int, float)  #: `int | float` would be put together anew for each value


class Masker:
    """Masks text and values; keeps what repeats."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._known_secrets = KnownSecrets(secrets)
        # A number could be a secret of digits, then each one is looked at.
        self._shows_numbers = not self._known_secrets.has_digits_only
        self._short = lru_cache(maxsize=4096)(self._masked)

    def text(self, text: str) -> str:
        """Return `text` masked, valid as UTF-8, its end cut off when it is very long."""
        if len(text) <= _CACHED:
            return self._short(text)
        if len(text) <= LONGEST:
            return self._masked(text)
        kept = self._masked(text[:LONGEST])
        return shortened(kept, max(len(kept) - _MARGIN, 0), more=len(text) - LONGEST)

    def ends(self, text: str) -> str:
        """Return `text` masked; of a very long one the beginning and the end."""
        if len(text) <= LONGEST:
            return self._masked(text)
        half = LONGEST // 2
        head, tail = self._masked(text[:half]), self._masked(text[-half:])
        missing = len(text) - 2 * (half - _MARGIN)
        return f"{head[:-_MARGIN]}\n…[+{missing} characters]\n{tail[_MARGIN:]}"

    def value(self, name: str, value: object) -> JSON:
        """Return what may be shown of `value`, which stood under `name`."""
        return self.plain(value) if kind_of(name) is None else self._walked(name, value)

    def plain(self, value: object) -> JSON:
        """Return what may be shown of `value`, whose name gives no reason to hide it."""
        # What nearly every value is, without the walk: a line costs microseconds.
        if type(value) is str:
            return self.text(value)
        if value is None or value is True or value is False:
            return value
        if isinstance(value, str) and not isinstance(value, Enum):
            return self.text(value)
        if self._shows_numbers and isinstance(value, _NUMBERS) and -_INT64 < value < _INT64:
            return value
        return self._walked("", value)

    def _walked(self, name: str, value: object) -> JSON:
        try:
            return Redaction(self.text, self._known_secrets).shown(name, value)
        except Exception:  # noqa: BLE001 - a foreign mapping or property raises what it likes
            return f"<unprintable {type(value).__name__}>"

    def _masked(self, text: str) -> str:
        text = self._known_secrets.mask(text)
        if not text.isascii():
            # A lone surrogate, from a file name or a broken \ud800 escape, is no UTF-8.
            text = text.encode("utf-8", "backslashreplace").decode()
        return scrub(text)
