"""Upbit's request signature: a JWT with the SHA-512 of the parameters.

Source: Upbit docs, "auth" and "REST API guide" (v1.6.4).
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from urllib.parse import unquote, urlencode

import jwt

#: A list is written as its key once for each value; Upbit's keys of lists end in `[]`.
Params = Mapping[str, str | Sequence[str]]


def wire_query(params: Params) -> str:
    """Return the query of the URL, encoded, keys in their order."""
    return urlencode(params, doseq=True)


def hashed_query(params: Params) -> str:
    """Return the text that is hashed: the query without encoding, in wire order.

    For a POST it is the body's keys in body order. Values must hold no space: `urlencode` writes it
    as `+`, which `unquote` keeps, so the hash would be over another text.
    """
    return unquote(urlencode(params, doseq=True))


class Signer:
    """Makes an Authorization header for each attempt; its text and repr show no key."""

    __slots__ = ("_access_key", "_new_nonce", "_secret_key")

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        *,
        new_nonce: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._access_key = access_key
        # The secret is used as Upbit shows it, without base64 decoding.
        self._secret_key = secret_key
        self._new_nonce = new_nonce

    def authorization(self, params: Params) -> str:
        """Return the header's value. Each attempt, even a failed one, uses up a nonce."""
        claims = {"access_key": self._access_key, "nonce": self._new_nonce()}
        if params:
            digest = hashlib.sha512(hashed_query(params).encode()).hexdigest()
            claims |= {"query_hash": digest, "query_hash_alg": "SHA512"}
        # HS256 as in other clients of Upbit: a secret has 40 characters, and HS512 needs 64.
        return f"Bearer {jwt.encode(claims, self._secret_key, algorithm='HS256')}"
