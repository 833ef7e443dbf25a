"""The signature, checked as Upbit's documents say it is checked."""

import hashlib

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.adapters.upbit.sign import Signer, hashed_query, wire_query

SECRET = "canary-secret-" + "s" * 26  # 40 characters, as Upbit's own
PARAMS = {"market": "KRW-BTC", "to": "2026-01-24T09:00:00Z", "count": "200"}


def claims_in(authorization: str) -> dict[str, str]:
    scheme, token = authorization.split(" ")
    assert scheme == "Bearer"
    claims: dict[str, str] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return claims


def test_a_secret_as_long_as_upbits_own_signs_without_a_warning() -> None:
    # PyJWT warns about forty characters under HS512, and a warning is an error here.
    token = Signer("access", SECRET).authorization(PARAMS).removeprefix("Bearer ")

    assert len(SECRET) == 40
    assert jwt.get_unverified_header(token)["alg"] == "HS256"


def test_without_parameters_the_claims_are_the_key_and_a_nonce() -> None:
    claims = claims_in(Signer("access", SECRET).authorization({}))

    assert claims.keys() == {"access_key", "nonce"}
    assert claims["access_key"] == "access"


def test_the_hash_is_over_the_query_without_encoding_in_its_order() -> None:
    claims = claims_in(Signer("access", SECRET).authorization(PARAMS))

    plain = "market=KRW-BTC&to=2026-01-24T09:00:00Z&count=200"
    assert claims["query_hash"] == hashlib.sha512(plain.encode()).hexdigest()
    assert claims["query_hash_alg"] == "SHA512"


def test_on_the_wire_the_values_are_encoded() -> None:
    assert wire_query(PARAMS) == "market=KRW-BTC&to=2026-01-24T09%3A00%3A00Z&count=200"


def test_every_attempt_has_a_nonce_of_its_own() -> None:
    signer = Signer("access", SECRET)

    nonces = {claims_in(signer.authorization(PARAMS))["nonce"] for _ in range(20)}

    assert len(nonces) == 20


@pytest.mark.parametrize("shown", [repr, str])
def test_a_signer_does_not_show_its_keys(shown: type) -> None:
    text = shown(Signer("canary-access", SECRET))

    assert "canary" not in text


@given(
    st.dictionaries(
        st.from_regex(r"[a-z_]{1,12}", fullmatch=True),
        st.text(
            st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="%&=+"),
            min_size=1,
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_hashed_text_is_the_plain_text(params: dict[str, str]) -> None:
    assert hashed_query(params) == "&".join(f"{key}={value}" for key, value in params.items())
