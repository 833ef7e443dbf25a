"""Odd addresses, parameters and cursors, against the real database."""

import base64
from typing import Final
from urllib.parse import quote

from tests.integration.web.hostile.conftest import READS, Attacked, address_of

IDS: Final = (
    "0",
    "-1",
    "1.5",
    "1e3",
    "0x1",
    "%31",
    "%2531",
    "+1",
    "%201",
    "1%20",
    "1%00",
    "%00",
    "%ff",
    "%",
    "%zz",
    "9223372036854775807",
    "9223372036854775808",
    "9" * 400,
    "%D9%A1",
    "%E2%80%AE1",
    "..",
    "%2e%2e",
    "..%2f..%2fetc%2fpasswd",
    "1;drop%20table%20orders",
    "1'--",
    "%27%20or%201=1--",
    "{id}",
    "1/",
    "//1",
    "null",
    "undefined",
    "a" * 4_000,
)
ADDRESSES: Final = (
    "//",
    "/.",
    "/..",
    "/api",
    "/api/v1/",
    "/api//v1/config",
    "/API/V1/CONFIG",
    "/api/v1/config/..%2frisk/halt",
    "/api/v1/config/%2e%2e/risk/status",
    "/page.css/..%2f..%2fkeys.py",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/openapi.json/",
    "/docs/..",
    "/\\..\\keys.py",
    "/health%00",
    "/health%0d%0aX:%20y",
    "/;jsessionid=1",
    "/api/v1/config/trading_enabled%00",
    "/api/v1/config/" + "k" * 5_000,
    "/%F0%9F%98%80",
    "/~root",
    "/*",
)
VALUES: Final = (
    "",
    "0",
    "-1",
    "1.5",
    "1e3",
    "99999999999999999999",
    "9" * 400,
    "%D9%A1",
    "%00",
    "%ff",
    "%zz",
    "+1",
    "true",
    "null",
    "[]",
    "{}",
    "KRW-BTC'--",
    "krw-btc",
    "KRW-%00",
    "2026-13-45T99:99:99Z",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "2026-01-01T00:00:00%2B99:99",
    "2026-W01-1",
    "NaN",
    "x" * 2_000,
)
MOST: Final = 2**63 - 1


def _packed(plain: str | bytes) -> str:
    raw = plain.encode() if isinstance(plain, str) else plain
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


#: `microseconds:id`, packed; some have the right form and instants that no row has.
CURSORS: Final = (
    "0:0",
    "1:1",
    f"0:{MOST}",
    f"0:{MOST + 1}",
    "-1:1",
    "-62135596800000000:1",
    "-62135596800000001:1",
    "253402300799999999:1",
    "253402300800000000:1",
    "999999999999999999:1",
    f"{10**18}:1",
    "01:1",
    "1:01",
    "1:-1",
    "1",
    ":",
    "1:",
    ":1",
    "1:1:1",
    "1.5:1",
    " 1:1",
    "1:1\n",
    "\u0661:1",
    "a:b",
    "1:1'--",
    "",
)
FORGED: Final = (
    *map(_packed, CURSORS),
    _packed(b"\xff\xfe"),
    "MTox=",
    "MTox==",
    "M",
    "MTo x",
    "MTo+x",
    "%00",
    "....",
    "A" * 4_000,
    "null",
    "MTox%0A",
    "%4DTox",
)


async def test_no_address_reaches_anything_that_is_not_there(attacked: Attacked) -> None:
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND"):
        for address in ADDRESSES:
            await attacked.ask(method, address)

    assert {status for _, status in attacked.answers} <= {400, 404, 405}


async def test_no_odd_name_of_one_thing_finds_it(attacked: Attacked) -> None:
    for row in READS:
        if "{" in row.path:
            for odd in IDS:
                await attacked.ask("GET", row.path.partition("{")[0] + odd)

    assert attacked.answers
    assert {status for _, status in attacked.answers} <= {200, 400, 404}


async def test_no_odd_parameter_breaks_a_list(attacked: Attacked) -> None:
    for row in READS:
        names = [*row.forms, "no_such_parameter"]
        for name in names:
            for value in VALUES:
                await attacked.ask("GET", f"{address_of(row)}?{name}={value}")
            await attacked.ask("GET", f"{address_of(row)}?{name}=1&{name}=2")
        for odd in (
            "?",
            "&",
            "=",
            "&&&",
            "a",
            "%3D",
            "limit",
            "[]=1",
            "#x",
            "?" * 2_000,
            "a=1;b=2",
        ):
            await attacked.ask("GET", f"{address_of(row)}?{odd}")

    assert len(attacked.answers) > 1_000
    # 304 needs a header that was not sent; 503 and 500 are looked for in every test.
    assert {status for _, status in attacked.answers} <= {200, 400, 404}


async def test_a_forged_cursor_is_refused_or_names_an_instant_without_rows(
    attacked: Attacked,
) -> None:
    lists = [row for row in READS if "cursor" in row.forms]
    for row in lists:
        needed = "market=KRW-BTC&" if "market" in row.forms else ""
        for forged in FORGED:
            await attacked.ask("GET", f"{address_of(row)}?{needed}cursor={quote(forged, safe='%')}")

    assert len(attacked.answers) == len(lists) * len(FORGED)
    assert {status for _, status in attacked.answers} <= {200, 400}
    assert len(attacked.of_status(400)) > len(attacked.of_status(200))
