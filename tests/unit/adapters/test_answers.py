"""What servers ask us to wait, and what errors must not carry."""

import json

import aiohttp
import pytest
import yarl
from multidict import CIMultiDict, CIMultiDictProxy

from service.adapters.answers import retry_after_s, strip_secrets

SENT = "Sun, 22 Nov 2026 20:55:01 GMT"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("3600", 3600.0),
        ("90000", 86_400.0),
        ("Sun, 22 Nov 2026 20:55:10 GMT", 9.0),
        ("Sun, 22 Nov 2026 20:55:10 -0000", 9.0),
        ("Sun, 22 Nov 2026 20:54:00 GMT", 0.0),
        ("Tue, 24 Nov 2026 20:54:00 GMT", 86_400.0),
        ("-3", None),
        ("soon", None),
        ("1e3", None),
        ("NaN", None),
        ("\u0667", None),
        ("9" * 400, None),
        ("", None),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_s({"Retry-After": header, "Date": SENT}) == seconds


def test_without_a_header_nothing_is_asked() -> None:
    assert retry_after_s({}) is None


def test_a_date_says_nothing_without_the_servers_own() -> None:
    assert retry_after_s({"Retry-After": "Sun, 22 Nov 2026 20:55:10 GMT"}) is None


def test_an_error_carries_no_request_headers_once_stripped() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer canary"}))
    info = aiohttp.RequestInfo(yarl.URL("http://127.0.0.1/"), "GET", headers, yarl.URL("http://h/"))
    inner = aiohttp.ClientResponseError(info, (), status=400, message="bad")
    outer = ValueError("outer")
    outer.__cause__ = inner
    assert "canary" in repr(inner)  # else this test proves nothing

    strip_secrets(outer)

    assert "canary" not in repr(inner)
    assert "canary" not in repr(inner.args)
    assert inner.status == 400


@pytest.mark.parametrize("body", [b'{"balance": canary', b"\xff canary"])
def test_a_decoding_error_carries_no_body_once_stripped(body: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - either of the decoders'
        json.loads(body.decode())

    strip_secrets(caught.value)

    assert "canary" not in f"{caught.value}{caught.value!r}{vars(caught.value)}"
