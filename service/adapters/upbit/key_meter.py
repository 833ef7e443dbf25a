"""What Upbit's answers to signed requests say about our key.

Source: Upbit docs, "REST API guide" (errors, 2026-10-06), and clients' maps of error names.
"""

from collections import deque
from typing import Final

from service.domain.key_answers import KeyAnswer

_KEPT: Final = 64  #: answers between two calls of `take`; of more the oldest are dropped
_SUCCESS: Final = range(200, 300)
_OF_ACCOUNT: Final = frozenset({401, 403})
#: These say nothing about the key: a request that a proxy repeated, a maintenance, a fault of ours
#: in one request, and what concerns withdrawals.
_NOT_OF_KEY: Final = frozenset(
    {"nonce_used", "market_offline", "invalid_query_payload", "open_api_withdraw_locked"}
)
_OF_KEY: Final = frozenset(
    {
        None,  # without Upbit's name it may be a firewall before Upbit: no address, no answer
        "expired_access_key",
        "invalid_access_key",
        "jwt_verification",
        "no_authorization_i_p",
        "no_authorization_ip",
        "no_authorization_token",
    }
)
#: States of the account, with whatever status: it may look and not order.
_OF_MEMBER: Final = frozenset({"order_disabled_member", "thirdparty_agreement_required"})


class KeyMeter:
    """Keeps what the last answers to signed requests said, until they are taken."""

    def __init__(self) -> None:
        self._heard: deque[KeyAnswer] = deque(maxlen=_KEPT)

    def take(self) -> tuple[KeyAnswer, ...]:
        """Return and clear the answers since the last call, oldest first; for one caller."""
        heard = tuple(self._heard)
        self._heard.clear()
        return heard

    def heard(self, endpoint: str, status: int, name: str | None = None) -> None:
        """Take one answer. Args: name: Upbit's error name, where it has a readable one."""
        if status in _SUCCESS:
            self._heard.append(KeyAnswer(endpoint=endpoint))
        elif name in _OF_MEMBER or (status in _OF_ACCOUNT and name not in _NOT_OF_KEY):
            refusal = name or f"http_{status}"
            self._heard.append(
                KeyAnswer(endpoint=endpoint, refusal=refusal, is_of_key=name in _OF_KEY)
            )
