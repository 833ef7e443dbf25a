"""The configured secrets themselves, in every spelling they may turn up in."""

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus, unquote, urlsplit

MASK: Final = "***"
SHORTEST: Final = 4  #: characters; a shorter secret would blot out half of every text
_SHORTEST_FRAGMENT: Final = 8  #: characters of base64 without its edges


class KnownSecrets:
    """Finds known secrets in text.

    A URL's user and password are secrets of their own: drivers and errors quote them alone.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        known = {part for secret in secrets for part in _parts(secret) if len(part) >= SHORTEST}
        forms = {form for part in known for form in _forms(part)}
        # The longest first: a form may hold another one.
        self._forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._numbers = tuple(part for part in known if part.isdecimal())

    def mask(self, text: str) -> str:
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    @property
    def has_digits_only(self) -> bool:
        """Whether a number could be a secret."""
        return bool(self._numbers)

    def in_number(self, number: object) -> bool:
        """Whether a secret of digits shows in `number`."""
        return any(form in str(number) for form in self._numbers)


def _parts(secret: str) -> Iterator[str]:
    yield secret
    try:
        url = urlsplit(secret)
        password = url.password
    except ValueError:
        return
    if password:
        yield password
        yield unquote(password)


def _forms(secret: str) -> Iterator[str]:
    # What is no UTF-8 in the environment reaches us as lone surrogates.
    raw = secret.encode("utf-8", "surrogateescape")
    quoted = quote(raw, safe="")
    yield from (secret, quoted, quote_plus(raw), quote(raw))
    yield re.sub("%[0-9A-F]{2}", lambda m: m[0].lower(), quoted)
    for once in _escaped(secret):
        yield once
        yield from _escaped(once)  # asyncio logs the repr of a text that may hold JSON
    yield raw.hex()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield from _inside_base64(raw, encode)


def _escaped(text: str) -> Iterator[str]:
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield repr(text)[1:-1]


def _inside_base64(raw: bytes, encode: Callable[[bytes], bytes]) -> Iterator[str]:
    """Yield what stays the same of `raw` wherever it stands in a longer encoded text.

    `Basic base64(user:password)` holds the password at an offset of 0, 1 or 2 bytes. The
    characters at its edges also encode bits of the neighbouring bytes.
    """
    for offset in range(3):
        text = encode(bytes(offset) + raw).decode().rstrip("=")
        start = (0, 2, 3)[offset]
        end = len(text) if (offset + len(raw)) % 3 == 0 else len(text) - 1
        if end - start >= _SHORTEST_FRAGMENT:
            yield text[start:end]
