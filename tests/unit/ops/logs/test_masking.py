import base64
import dataclasses
import json
import re
from collections import OrderedDict, namedtuple
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from multidict import CIMultiDict
from pydantic import BaseModel, SecretBytes, SecretStr

from service.domain.orders import Side
from service.ops.logs.masking import LONGEST, Masker
from service.ops.logs.redaction import shortened

SECRET = 's3/cr+t"wi\\th=odd chars'


class Colour(Enum):
    RED = Decimal("1.50")


@dataclasses.dataclass(slots=True)
class Account:
    name: str
    api_key: str
    parts: list[Any]


class Body(BaseModel):
    name: str
    password: SecretStr
    balance: Decimal


class Unprintable:
    def __repr__(self) -> str:
        raise ValueError(SECRET)


class BrokenMapping(OrderedDict[str, str]):
    def items(self) -> Any:
        raise RuntimeError(SECRET)


Row = namedtuple("Row", ["market", "token"])  # noqa: PYI024 - what drivers return


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        (True, True),
        (7, 7),
        (2**63, str(2**63)),
        (1.5, 1.5),
        (Decimal("1.50"), "1.50"),
        (Decimal("1E+7"), "1E+7"),
        (Side.BUY, "BUY"),
        (Colour.RED, "1.50"),
        (datetime(2026, 11, 22, 20, 55, 1, 886_999, UTC), "2026-11-22T20:55:01.886Z"),
        (
            datetime(2026, 11, 23, 5, 55, tzinfo=timezone(timedelta(hours=9))),
            "2026-11-22T20:55:00.000Z",
        ),
        (datetime(2026, 11, 22), "2026-11-22T00:00:00"),  # noqa: DTZ001 - what careless code binds
        (date(2026, 11, 22), "2026-11-22"),
        (timedelta(seconds=90), 90.0),
        (Path("a/b"), "a/b"),
        (b"ab\xff", "ab\\xff"),
        (ValueError("no"), "ValueError: no"),
        ({1}, [1]),
        ((1, [2, {"a": 3}]), [1, [2, {"a": 3}]]),
        (range(3), [0, 1, 2]),
        (SecretStr("abc"), "***"),
        (SecretBytes(b"abc"), "***"),
        (
            Account("a", "k", [{"secret": 1}]),
            {"name": "a", "api_key": "***", "parts": [{"secret": "***"}]},
        ),
        (
            Body(name="a", password=SecretStr("p"), balance=Decimal(5)),
            {"name": "a", "password": "***", "balance": "***"},
        ),
        (Row("KRW-BTC", "t"), {"market": "KRW-BTC", "token": "***"}),
        (CIMultiDict(Authorization="x", Host="h"), {"Authorization": "***", "Host": "h"}),
        ([(b"Authorization", b"x"), (b"Host", b"h")], [["Authorization", "***"], ["Host", "h"]]),
        ({b"cookie": 1, 2: 3}, {"cookie": "***", "2": 3}),
        (Unprintable(), "<unprintable Unprintable>"),
        (BrokenMapping(), "<unprintable BrokenMapping>"),
        (float("nan"), None),
    ],
)  # fmt: skip
def test_every_kind_of_value_becomes_json(value: object, shown: object) -> None:
    made = Masker().value("x", value)

    assert json.loads(json.dumps(made).replace("NaN", "null")) == shown


@pytest.mark.parametrize("value", [None, True, False, ""])
def test_whether_a_secret_is_set_may_be_seen(value: object) -> None:
    assert Masker().value("api_key", value) == value


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize("value", ["x", 1, Decimal(0), [1], {"a": 1}, b"x", SecretStr("x"), 0.0])
def test_whatever_stands_under_a_telling_name_is_hidden(value: object) -> None:
    assert Masker().value("balances", value) == "***"


def test_a_number_of_tokens_is_shown_and_a_text_of_tokens_is_not() -> None:
    masker = Masker()

    assert masker.value("input_tokens", 1200) == 1200
    assert masker.value("refresh_tokens", "abc") == "***"


@pytest.mark.proves("FR-011")
@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        re.sub("%..", lambda m: m[0].lower(), quote(SECRET, safe="")),
        json.dumps(SECRET),
        repr(SECRET),
        repr(json.dumps(SECRET)),
        json.dumps(json.dumps(SECRET)),
        SECRET.encode().hex(),
    ],
)
def test_a_configured_secret_is_masked_however_it_is_written(form: str) -> None:
    shown = Masker([SECRET]).text(f"before {form} after")

    assert "odd" not in shown
    assert "cr" not in shown
    assert SECRET.encode().hex() not in shown
    assert shown.startswith("before ")
    assert shown.endswith(" after")


@pytest.mark.parametrize("before", ["", "u:", "us:", "use:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_configured_secret_is_masked_inside_base64(before: str, encode: Any) -> None:
    secret = "lower case secret"  # no capital or digit: nothing but the literal can find it
    encoded = encode(f"{before}{secret}:rest".encode()).decode()

    shown = Masker([secret]).text(f"{encoded!s}")

    assert "***" in shown
    assert base64.b64encode(secret.encode()).decode()[4:12] not in shown
    assert len(shown) < len(encoded) - 12


def test_the_password_of_a_configured_url_is_a_secret_of_its_own() -> None:
    shown = Masker(["postgresql://trader:p%40ssw0rd@db/x"]).text("p@ssw0rd p%40ssw0rd")

    assert shown == "*** ***"


def test_a_configured_url_that_is_none_is_still_a_secret() -> None:
    assert Masker(["http://[bad"]).text("at http://[bad now") == "at *** now"


def test_a_secret_of_three_characters_is_not_looked_for() -> None:
    assert Masker(["abc", ""]).text("alphabc") == "alphabc"


def test_a_secret_of_digits_is_masked_in_numbers() -> None:
    masker = Masker(["123456"])

    assert masker.value("n", 9123456) == "***"
    assert masker.value("n", 0.123456) == "***"
    assert masker.value("n", Decimal(123456)) == "***"
    assert masker.value("n", 12345) == 12345


def test_a_secret_that_is_no_utf8_is_masked() -> None:
    secret = b"caf\xe9-secret".decode("utf-8", "surrogateescape")

    assert Masker([secret]).text(f"it is {secret}!") == "it is ***!"


def test_a_lone_surrogate_is_written_out() -> None:
    assert Masker().text("a\ud800b") == "a\\ud800b"


def test_a_value_that_holds_itself_ends() -> None:
    loop: dict[str, Any] = {"password": "abcdef"}
    loop["again"] = [loop] * 50

    shown = json.dumps(Masker().value("x", loop))

    assert "abcdef" not in shown
    assert len(shown) < 20_000


def test_a_flood_of_values_is_cut_short() -> None:
    shown = Masker().value("x", {str(n): [n] * 1000 for n in range(1000)})

    assert len(json.dumps(shown)) < 10_000


def test_a_secret_cut_in_two_by_the_length_limit_does_not_show() -> None:
    secret = "half-of-it-is-enough-to-guess-the-rest"
    text = "x" * (LONGEST - 10) + secret + "x" * 1_000_000

    shown = Masker([secret]).text(text)

    assert secret[:5] not in shown
    assert shown.endswith(" characters]")


def test_a_secret_cut_in_two_by_leaving_out_the_middle_does_not_show() -> None:
    secret = "half-of-it-is-enough-to-guess-the-rest"
    half = LONGEST // 2
    text = "x" * (half - 10) + secret + "y" * 100_000 + secret + "z" * (half - 10)

    shown = Masker([secret]).ends(text)

    assert secret[:5] not in shown
    assert secret[-5:] not in shown
    assert (shown[0], shown[-1]) == ("x", "z")


def test_what_is_missing_is_counted() -> None:
    assert shortened("abcdef", 4) == "abcd…[+2 characters]"
    assert shortened("abcd", 4) == "abcd"
    assert len(Masker().text("x" * 1_000_000)) < LONGEST
