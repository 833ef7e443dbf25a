"""What secrets and balances look like inside free text.

Text has no structure to trust, so the rules err on the side of masking. What they leave alone on
purpose, because operators need it: UUIDs, order identifiers, sha256 sums and other lower-case
hex. A secret of that shape is known by its name or is a configured literal.
"""

import re
from collections.abc import Callable
from typing import Final

from service.ops.logs.field_names import FieldKind, kind_of
from service.ops.logs.known_secrets import MASK

#: None of these in the lower-case text: nothing below can match, save an opaque run.
_HINTS: Final = (
    "key", "secret", "pass", "pwd", "token", "authorization", "cookie", "credential", "dsn",
    "database", "webhook", "alert", "jwt", "bearer", "basic", "eyj", "aiza", "://", "aq.", "/bot",
    "slack", "balance", "available", "locked", "equity", "capital", "cash", "pnl",
    "funds", "volume", "total", "coins", "worth", "holding", "amount", "deposit", "cost", "fee",
    "avg", "average", "잔고", "잔액", "예수금", "보유", "평가", "자산", "금액", "손익",
    "failing row", "input syntax", "json data", "line ",
)  # fmt: skip

# Every repetition after a name is bounded: a hostile text must not cost quadratic time.
_SECRET_NAME: Final = re.compile(
    r"(?:api[_-]?key|access[_-]?key|private[_-]?key|secret|passw(?:or)?d|pwd|passphrase"
    r"|token(?!s)|authorization|cookie|credential|(?<![a-z])dsn|database[_-]?url|webhook"
    r"|alert[_-]?url|jwt)[\w-]{0,40}"
    # name=value, "name": "value", ["name"] = value, name%3Dvalue, and ('name', 'value')
    r"(?:(?:\\*[\"'])?\]?\s*(?:=>|:=|[:=]|%3[AD])\s*|\\*[\"']\s*,\s*(?=b?\\*[\"']))",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(
    r"(?P<shown>(?:None|null|True|False)\b)"
    r"|b?(?P<quote>\\*[\"'])(?P<text>.*?)(?:(?<!\\)(?P=quote)|\Z)"
    r"|(?P<bracket>[\w.]*[\[({])"
    r"|(?:bearer|basic|digest)\s+[^\s\"',;)}\]]+"
    r"|[^\s&\"']+",
    re.IGNORECASE | re.DOTALL,
)
_TO_END_OF_LINE: Final = re.compile(r"[^\n\"']+")

_MONEY_NAME: Final = re.compile(
    r"(?:balance|(?<![a-z])(?:available|locked|equity|capital|cash|pnl)|잔고|잔액|예수금)"
    r"[\w-]{0,40}"
    r"(?:\\*[\"'])?\]?\s*(?:=>|[:=,]|(?:is|of|was)\b)?\s*",
    re.IGNORECASE,
)
#: Words that mean money as names only, `volume=1` and not `volume 1`: names.py knows which.
_ANY_NAME: Final = re.compile(
    r"(?<![\w-])(?P<name>[^\W\d][\w-]{0,60})"
    r"(?:(?:\\*[\"'])?\]?\s*(?:=>|:=|[:=])\s*|\\*[\"']\s*,\s*(?=\\*[\"']))"
)
_MONEY_VALUE: Final = re.compile(
    r"(?:[A-Z]{2,6}\s*|₩\s*)?(?:[A-Za-z.]+\()?\\*[\"']?"
    r"(?P<number>[-+]?[.]?\d(?:[\d.,_]*\d)?(?:[eE][-+]?\d+)?)"
)
_OPENING: Final = re.compile(r"[\[({]")
_BRACKETS: Final = re.compile(r"[\[({\])}]")

_SHAPES: Final = tuple(
    (hint, re.compile(shape), mask)
    for hint, shape, mask in (
        ("private key", r"(?s)-----BEGIN [A-Z ]*PRIVATE KEY.*?(?:-----END [A-Z ]*-----|\Z)", MASK),
        ("bearer", r"(?i)(\bbearer\s+)[\w.~+/=-]{6,}", rf"\1{MASK}"),
        # Not `basic settings`: base64 without a capital or a digit hardly exists.
        ("basic", r"(\b[Bb]asic\s+)(?=[a-z+/=]*[A-Z0-9])[A-Za-z0-9+/=]{6,}", rf"\1{MASK}"),
        ("eyj", r"eyJ[\w-]{8,}(?:\.[\w-]*){0,4}", MASK),
        ("aiza", r"AIza[\w-]{10,}", MASK),
        ("aq.", r"\bAQ\.[\w-]{20,}", MASK),
        ("key=", r"(?i)([?&;]key=)[^&\s\"'#]+", rf"\1{MASK}"),
        # Up to the last @: passwords hold @ and / in spite of the rules.
        ("postgres", r"(?i)(postgres(?:ql)?://)[^\s\"'<>]{0,256}@", rf"\1{MASK}@"),
        ("://", r"(?i)(\b[a-z][a-z0-9+.-]{0,20}://)[^\s/\"'@<>]*:[^\s/\"'@<>]*@", rf"\1{MASK}@"),
        ("hooks.slack", r"(?i)(hooks\.slack\.com/\w+/)[^\s\"']+", rf"\1{MASK}"),
        ("webhooks/", r"(?i)(/webhooks/)[^\s\"']+", rf"\1{MASK}"),
        ("/bot", r"(/bot)\d+:[\w-]+", rf"\1{MASK}"),
        # PostgreSQL's errors repeat the row, the statement's line with our parameters, and JSON
        # that it cannot read. All of these may hold positions and amounts.
        ("failing row", r"(?s)(Failing row contains )\(.*?(?:\)\.(?=\n|\Z)|\Z)", rf"\1{MASK}"),
        ("input syntax", r"(invalid input syntax for type [\w ]+: )\"[^\"]*\"", rf'\1"{MASK}"'),
        ("json data", r"(JSON data, line \d+: )[^\n]*", rf"\1{MASK}"),
        ("line ", r"(LINE \d+: )[^\n]*", rf"\1{MASK}"),
    )
)

_OPAQUE_FROM: Final = 32  #: characters
_RUN: Final = "[A-Za-z0-9+_-]"
#: Capitals, small letters and digits in one long run: a key or base64, never a word or a sum.
_OPAQUE: Final = re.compile(
    rf"(?<!{_RUN})(?=[a-z0-9+_-]*[A-Z])(?=[A-Z0-9+_-]*[a-z])(?=[A-Za-z+_-]*[0-9])"
    rf"{_RUN}{{{_OPAQUE_FROM},}}[A-Za-z0-9+/_=-]*"
)

#: Numbers, UUIDs, sums and our own identifiers: the letters of no hint. Most of what is new in a
#: line is of this shape, so it is asked first.
_HARMLESS: Final = re.compile(r"[0-9a-fut:.-]*")

_Span = tuple[int, int]


def scrub(text: str) -> str:
    """Return `text` with everything that looks like a secret or a balance masked."""
    if _HARMLESS.fullmatch(text):
        return text
    low = text.lower()
    if any(hint in low for hint in _HINTS):
        text = _cut(text, _SECRET_NAME, _secret_span)
        for hint, shape, mask in _SHAPES:
            if hint in low:
                text = shape.sub(mask, text)
        text = _cut(text, _MONEY_NAME, _money_span)
        text = _cut(text, _ANY_NAME, _named_money_span)
    if len(text) >= _OPAQUE_FROM:
        text = _OPAQUE.sub(MASK, text)
    return text


def _cut(text: str, name: re.Pattern[str], span: Callable[[re.Match[str]], _Span | None]) -> str:
    """Mask what `span` finds behind each match of `name`."""
    kept: list[str] = []
    done = at = 0
    while found := name.search(text, at):
        cut = span(found)
        if cut is None:
            at = found.end()
            continue
        kept += text[done : cut[0]], MASK
        done = at = cut[1]
    return "".join([*kept, text[done:]])


def _secret_span(name: re.Match[str]) -> _Span | None:
    text, start = name.string, name.end()
    word = name[0].lower()
    value = _SECRET_VALUE.match(text, start)
    if value is None or value["shown"]:
        return None
    if value["quote"] is not None:
        return value.span("text") if value["text"] else None
    if value["bracket"] is not None:
        return start, _closing(text, value.end() - 1)
    if word.startswith(("cookie", "authorization")):
        line = _TO_END_OF_LINE.match(text, start)
        return (start, line.end()) if line else None
    bare = value[0].rstrip(",;)}]")
    return start, start + len(bare or value[0])


def _money_span(name: re.Match[str]) -> _Span | None:
    text, start = name.string, name.end()
    if _OPENING.match(text, start):
        return start, _closing(text, start)
    value = _MONEY_VALUE.match(text, start)
    return value.span("number") if value else None


def _named_money_span(name: re.Match[str]) -> _Span | None:
    return _money_span(name) if kind_of(name["name"]) is FieldKind.MONEY else None


def _closing(text: str, start: int) -> int:
    """Return where the bracket opened at `start` has been closed; the end if it never is."""
    depth = 0
    for bracket in _BRACKETS.finditer(text, start):
        depth += 1 if bracket[0] in "[({" else -1
        if depth == 0:
            return bracket.end()
    return len(text)
