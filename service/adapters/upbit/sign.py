"""Upbit's request signature: a JWT over the SHA-512 of what is asked.

Source: Upbit docs, "auth" and "REST API guide" (v1.6.4).
"""

import hashlib
import uuid
from collections.abc import Callable, Mapping
from urllib.parse import unquote, urlencode

import jwt


def wire_query(params: Mapping[str, str]) -> str:
    """Return the query as it goes over the wire, encoded, keys in their order."""
    return urlencode(params)


def hashed_query(params: Mapping[str, str]) -> str:
    """Return the text that is hashed: the query without encoding, in wire order.

    For a POST it is the body's keys in body order. Values hold no space: `urlencode` writes it
    as `+`, which `unquote` leaves alone, and the hash would be over another text.
    """
    return unquote(urlencode(params))


class Signer:
    """Makes one Authorization header an attempt; neither text nor repr shows a key."""

    __slots__ = ("_access_key", "_new_nonce", "_secret_key")

    def __init__(
        self,
        access_key: str,
        secret_key: str,
        *,
        new_nonce: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._access_key = access_key
        # The secret is used as it is printed, not base64-decoded.
        self._secret_key = secret_key
        self._new_nonce = new_nonce

    def authorization(self, params: Mapping[str, str]) -> str:
        """Return the header's value. A nonce is used up by one attempt, even a failed one."""
        claims = {"access_key": self._access_key, "nonce": self._new_nonce()}
        if params:
            digest = hashlib.sha512(hashed_query(params).encode()).hexdigest()
            claims |= {"query_hash": digest, "query_hash_alg": "SHA512"}
        # HS256, as every client of Upbit signs: its secrets have 40 characters, and HS512 wants 64.
        return f"Bearer {jwt.encode(claims, self._secret_key, algorithm='HS256')}"
