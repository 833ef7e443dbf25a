"""Odd JSON as the body of every route that changes something."""

import gzip
from typing import Final

from tests.integration.web.hostile.conftest import CHANGES, JSON, Attacked, address_of

DEEP: Final = 30_000
#: None of them is a body that some route takes.
ODDITIES: Final = (
    # no JSON
    b" ",
    b"\x00",
    b"{",
    b"}",
    b"[",
    b'"',
    b"{]",
    b"{'a': 1}",
    b"{a: 1}",
    b'{"a": 1,}',
    b'{"a": 1}}',
    b'{"a": 1} {"b": 2}',
    b'{"a": undefined}',
    b'{"a": 01}',
    b'{"a": +1}',
    b'{"a": .5}',
    b'{"a": 0x1}',
    b'{"a": NaN}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b"// no\n{}",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"a": "\xff"}',
    b'{"a": "\xc0\x80"}',
    b'{"a": "\\ud800"}',
    b'{"a": "\\u0000"}',
    b'{"a": "\\x41"}',
    b'{"a": "line\nfeed"}',
    b"a=1&b=2",
    b"<a/>",
    b"%7B%7D",
    b"e30=",
    b'{"a":' * DEEP,
    b"[" * DEEP,
    b"[" * 900 + b"]" * 900,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    # no object
    b"null",
    b"true",
    b"0",
    b"-0",
    b"1e5",
    b"[]",
    b"[{}]",
    b'""',
    b'"{}"',
    b"[[[]]]",
    # an object of no use
    b'{"": 1}',
    b'{"a": 1, "a": 1}',
    b'{"__proto__": {"admin": true}}',
    b'{"value": 1, "value": 2}',
    b'{"value": {"$gt": ""}}',
    b'{"values": {}, "x": []}',
    b'{"\\u202e": 1}',
    b'{"a": "' + b"x" * 60_000 + b'"}',
    b'{"a": ' + b"9" * 60_000 + b"}",
    b'{"a": 1e-400, "b": 123456789012345678901234567890}',
    b"{" + b",".join(b'"k%d": 1' % n for n in range(5_000)) + b"}",
)
TOO_LONG: Final = b'{"a": "' + b"x" * 70_000 + b'"}'
WRONG: Final[tuple[object, ...]] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**30,
    "",
    " ",
    "\x7f",
    "\u202e1",
    "1e5",
    "x" * 9_000,
    [],
    {},
    [[]],
)


async def test_no_odd_body_is_taken_or_breaks_anything(attacked: Attacked) -> None:
    for row in CHANGES:
        for raw in ODDITIES:
            await attacked.ask(row.method, address_of(row), data=raw, headers=JSON)

    assert len(attacked.answers) == len(CHANGES) * len(ODDITIES) > 500
    assert attacked.of_status(200, 201, 202) == []


async def test_no_coding_of_a_body_is_taken_that_is_not_unpacked_whole(attacked: Attacked) -> None:
    plain = b'{"value": 0.9}'
    packed = gzip.compress(plain)
    bodies = {
        "gzip": (plain, packed[:-1], packed[1:], packed * 2, gzip.compress(b" " * 5_000_000)),
        "deflate": (plain, packed),
        "br": (plain,),
        "gzip, gzip": (gzip.compress(packed),),
        "identity, gzip": (packed,),
        "": (plain,),
    }
    for row in CHANGES:
        for coding, raws in bodies.items():
            for raw in raws:
                headers = JSON | {"Content-Encoding": coding}
                await attacked.ask(row.method, address_of(row), data=raw, headers=headers)
        for kind in ("text/plain", "application/xml", "application/json; charset=utf-16", "a", ";"):
            headers = {"Content-Type": kind}
            await attacked.ask(row.method, address_of(row), data=plain, headers=headers)
        await attacked.ask(row.method, address_of(row), data=TOO_LONG, headers=JSON)

    assert {status for _, status in attacked.answers} <= {400, 413, 415}


async def test_a_field_of_a_wrong_form_is_refused_whichever_it_is(attacked: Attacked) -> None:
    for row in CHANGES:
        model = row.body
        assert model is not None
        names = sorted(_fields(model.model_json_schema()))
        for name in (*names, "no_such_name"):
            for value in WRONG:
                body = {name: value, "no_such_name": 1}
                await attacked.ask(row.method, address_of(row), json=body)

    assert len(attacked.answers) > 400
    assert attacked.of_status(200, 201, 202) == []


def _fields(schema: object) -> set[str]:
    if isinstance(schema, list):
        return {name for part in schema for name in _fields(part)}
    if not isinstance(schema, dict):
        return set()
    own = schema.get("properties", {})
    return set(own) | {name for part in schema.values() for name in _fields(part)}
