"""Signatures of every dialect are accepted, everything else is a 401 with Upbit's name."""

import hashlib
import json
import uuid
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
import pytest

from service.sandbox.errors import RequestRefused
from service.sandbox.upbit_api.auth import Guard

ACCESS, SECRET = "access", "s" * 64  # longer than Upbit's: PyJWT warns of less for HS512


def bearer(hashed: str | None = None, *, algorithm: str = "HS512", **claims: Any) -> str:
    payload: dict[str, Any] = {"access_key": ACCESS, "nonce": str(uuid.uuid4())}
    if hashed is not None:
        digest = hashlib.sha512(hashed.encode()).hexdigest()
        payload |= {"query_hash": digest, "query_hash_alg": "SHA512"}
    return "Bearer " + jwt.encode(payload | claims, SECRET, algorithm=algorithm)


def guard() -> Guard:
    return Guard(access_key=ACCESS, secret_key=SECRET)


PARAMS = {"market": "KRW-BTC", "states[]": ["done", "cancel"], "start_time": "2026-01-24T09:00:00Z"}
ENCODED = urlencode(PARAMS, doseq=True)
BODY = {"market": "KRW-BTC", "ord_type": "price", "price": "10000", "identifier": "a b"}


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_each_algorithm_is_accepted(algorithm: str) -> None:
    guard().check(bearer(algorithm=algorithm), query="", body="")


@pytest.mark.parametrize(
    ("query", "body", "hashed"),
    [
        (ENCODED, "", unquote(ENCODED)),  # upbit-sdk, ccxt
        (unquote(ENCODED), "", unquote(ENCODED)),  # brackets and colons left alone
        ("", ENCODED, ENCODED.replace("%5B%5D=", "[]=")),  # pyupbit GET
        ("", json.dumps(BODY), "&".join(f"{k}={v}" for k, v in BODY.items())),
        ("", json.dumps(BODY), urlencode(BODY)),  # pyupbit POST and DELETE
        ("", '{"price":0.00001,"n":5}', "price=0.00001&n=5"),
    ],
)
def test_each_dialect_of_the_hash_is_accepted(query: str, body: str, hashed: str) -> None:
    guard().check(bearer(hashed), query=query, body=body)


def test_the_order_of_the_parameters_is_part_of_the_hash() -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().check(bearer("b=2&a=1"), query="a=1&b=2", body="")

    assert refused.value.name == "invalid_query_payload"


@pytest.mark.parametrize(
    ("authorization", "name"),
    [
        (None, "no_authorization_token"),
        ("Basic abc", "no_authorization_token"),
        ("Bearer ", "no_authorization_token"),
        ("Bearer abc", "jwt_verification"),
        ("Bearer a.b.c", "jwt_verification"),
        ("Bearer " + jwt.encode({"access_key": ACCESS}, "x" * 64), "jwt_verification"),
        ("Bearer " + jwt.encode({}, "", algorithm="none"), "jwt_verification"),
        (bearer(access_key="other"), "invalid_access_key"),
        (bearer(nonce=None), "jwt_verification"),
        (bearer("a=1"), "invalid_query_payload"),
    ],
)
def test_a_wrong_token_is_refused_by_name(authorization: str | None, name: str) -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().check(authorization, query="", body="")

    assert (refused.value.status, refused.value.name) == (401, name)


def test_parameters_without_a_hash_are_refused() -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().check(bearer(), query="market=KRW-BTC", body="")

    assert refused.value.name == "invalid_query_payload"


def test_a_null_in_the_body_is_refused_when_the_client_did_not_hash_it() -> None:
    with pytest.raises(RequestRefused) as refused:
        guard().check(bearer("market=KRW-BTC"), query="", body='{"market":"KRW-BTC","volume":null}')

    assert refused.value.name == "invalid_query_payload"


def test_a_nonce_works_once() -> None:
    keeper, token = guard(), bearer()
    keeper.check(token, query="", body="")

    with pytest.raises(RequestRefused) as refused:
        keeper.check(token, query="", body="")

    assert refused.value.name == "nonce_used"


@pytest.mark.parametrize(
    "body", ["{", "[]x", '{"a": {"b": 1}}', '{"a": [1]}', '{"a": "\\ud800"}', '{"\\ud800": "a"}']
)
def test_a_broken_body_is_refused_and_not_a_crash(body: str) -> None:
    with pytest.raises(RequestRefused):
        guard().check(bearer("x"), query="", body=body)
