"""Authentication: the JWT of Upbit's Exchange API, in the variants that clients send.

It is verified with `hmac`, one line for each of the three algorithms. So the check shares no
library with the clients whose signatures it tests.
"""

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote_plus, unquote

from service.sandbox.errors import refused

_ALGORITHMS: Final = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}
_NONCES_KEPT: Final = 100_000
_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")  #: JSON can escape it, UTF-8 cannot


class Guard:
    """Checks requests against one account's keys and its recent nonces."""

    def __init__(self, *, access_key: str, secret_key: str) -> None:
        self._access_key = access_key
        self._secret = secret_key.encode()
        self._nonces: OrderedDict[str, None] = OrderedDict()

    @property
    def access_key(self) -> str:
        return self._access_key

    def check(self, authorization: str | None, *, query: str, body: str) -> None:
        """Raise Refused (401) unless the request is signed by the account.

        Args:
            query: the raw query string, still percent-encoded.
            body: the raw body; used when there is no query.
        """
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise refused("no_authorization_token")
        claims = self._claims(token.strip())
        if claims.get("access_key") != self._access_key:
            raise refused("invalid_access_key")
        self._use_nonce(claims.get("nonce"))
        _check_hash(claims, set(hashable_forms(query, body)))

    def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            signed, _, signature = token.rpartition(".")
            header, _, payload = signed.partition(".")
            digest = _ALGORITHMS[json.loads(_decoded(header))["alg"]]
            claims = json.loads(_decoded(payload))
            given = _decoded(signature)
        except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as exc:
            raise refused("jwt_verification") from exc
        expected = hmac.new(self._secret, signed.encode(), digest).digest()
        if not hmac.compare_digest(expected, given) or not isinstance(claims, dict):
            raise refused("jwt_verification")
        return claims

    def _use_nonce(self, nonce: object) -> None:
        if not isinstance(nonce, str) or not nonce:
            raise refused("jwt_verification", about="nonce")
        if nonce in self._nonces:
            raise refused("nonce_used")
        self._nonces[nonce] = None
        if len(self._nonces) > _NONCES_KEPT:
            self._nonces.popitem(last=False)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _check_hash(claims: Mapping[str, Any], forms: set[str]) -> None:
    given = claims.get("query_hash")
    if not forms:
        if given is not None:
            raise refused("invalid_query_payload")
        return
    hashes = {hashlib.sha512(form.encode()).hexdigest() for form in forms}
    if given not in hashes or claims.get("query_hash_alg", "SHA512") != "SHA512":
        raise refused("invalid_query_payload")


def hashable_forms(query: str, body: str) -> Iterator[str]:
    """Yield the strings that a client may have hashed; nothing when there are no parameters.

    upbit-sdk and ccxt hash the unencoded string. pyupbit hashes the encoded one, with `[]` left as
    they are. It sends the parameters of GET and DELETE in the body.
    """
    text = query or body.strip()
    if not query and text.startswith("{"):
        # A null is part of the hashed text. SDKs omit it from their hash, and Upbit refuses them.
        pairs = [
            (name, "null" if value is None else value) for name, value in body_fields(text).items()
        ]
        yield "&".join(f"{name}={value}" for name, value in pairs)
        yield "&".join(f"{name}={quote_plus(value)}" for name, value in pairs)
        return
    if text:
        yield unquote(text)
        yield text
        yield text.replace("%5B%5D=", "[]=")


def body_fields(body: str) -> dict[str, str | None]:
    """Return the JSON object's members in their order, values as written in the text.

    Raises: Refused, when the body is no JSON object or nests deeper.
    """
    try:
        fields = json.loads(body or "{}", parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as exc:
        raise refused("invalid_parameter", about="body") from exc
    if not isinstance(fields, dict):
        raise refused("invalid_parameter", about="body")
    return {str(_scalar(name)): _scalar(value) for name, value in fields.items()}


def _scalar(value: object) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or (isinstance(value, str) and not _LONE_SURROGATE.search(value)):
        return value
    raise refused("invalid_parameter", about="body")
