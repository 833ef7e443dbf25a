"""Slows down and locks out callers that try tokens.

Five wrong tokens lock a peer for a minute, then for two, up to fifteen. Fifty of all other machines
together are an attack from many addresses: then a single wrong token locks its peer. A right token
of a peer that is not locked always counts. This machine is slowed down and never locked, so that
no attack can keep the operator from the switch that stops trading.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from loguru import logger

from service.web.protocol.errors import TooManyTries
from service.web.protocol.peers import Peer

TRIES: Final = 5  #: wrong tokens of one peer that lock it
TRIES_IN_ALL: Final = 50  #: of all other machines, that leave each peer a single try
LOCK_S: Final = 60.0
LONGEST_LOCK_S: Final = 900.0
FORGOTTEN_AFTER_S: Final = 3600.0  #: without a wrong token; a lock itself does not count
PEERS: Final = 4096  #: the most that are remembered; then the one tried longest ago is forgotten
FIRST_HOLD_S: Final = 0.1
LONGEST_HOLD_S: Final = 1.0


class _Tries:
    """The wrong tokens of one peer, or of all."""

    __slots__ = ("at", "locked_until", "locks", "since_lock", "total")

    def __init__(self, now: float) -> None:
        self.total = self.since_lock = self.locks = 0
        self.at = self.locked_until = now

    def is_forgotten(self, now: float) -> bool:
        return now - max(self.at, self.locked_until) > FORGOTTEN_AFTER_S

    def add(self, now: float, *, locks_after: int) -> bool:
        """Count a wrong token; return whether it begins a lock."""
        self.total += 1
        self.since_lock += 1
        self.at = now
        if self.since_lock < locks_after:
            return False
        self.locked_until = now + min(LOCK_S * 2.0 ** min(self.locks, 10), LONGEST_LOCK_S)
        self.locks += 1
        self.since_lock = 0
        return True


class Lockout:
    """Args: now: real seconds, never going back."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._peers: OrderedDict[str, _Tries] = OrderedDict()
        self._all = _Tries(now())

    @property
    def remembered(self) -> int:
        """How many peers it remembers."""
        return len(self._peers)

    def check(self, peer: Peer) -> None:
        """Refuse a peer that is locked; call it before its token is compared.

        Raises: TooManyTries.
        """
        tries, now = self._peers.get(peer.name), self._now()
        if tries is None or peer.is_local or tries.locked_until <= now:
            return
        raise TooManyTries(
            "too many wrong tokens came from this address; requests from the service's own machine"
            " are never locked out",
            retry_after_s=tries.locked_until - now,
        )

    def wrong_token(self, peer: Peer) -> float:
        """Count a wrong token; return for how many seconds to hold its answer back."""
        now = self._now()
        tries = self._tries_of(peer, now)
        if peer.is_local:
            tries.add(now, locks_after=TRIES)  # its lock is not looked at
        else:
            self._count(peer, tries, now)
        return min(FIRST_HOLD_S * 2.0 ** min(tries.total - 1, 10), LONGEST_HOLD_S)

    def _count(self, peer: Peer, tries: _Tries, now: float) -> None:
        if self._all.is_forgotten(now):
            self._all = _Tries(now)
        is_attack = self._all.locked_until > now
        begins = tries.add(now, locks_after=1 if is_attack else TRIES)
        # During an attack from many addresses, a line for each would fill the log.
        if begins and not is_attack:
            logger.bind(event="app", peer=peer.name, lockout_s=tries.locked_until - now).warning(
                "a peer is locked out after wrong tokens"
            )
        if self._all.add(now, locks_after=TRIES_IN_ALL):
            logger.bind(event="app", lockout_s=self._all.locked_until - now).warning(
                "many peers send wrong tokens: a single one locks a peer out now"
            )

    def _tries_of(self, peer: Peer, now: float) -> _Tries:
        tries = self._peers.get(peer.name)
        if tries is None or tries.is_forgotten(now):
            tries = self._peers[peer.name] = _Tries(now)
        self._peers.move_to_end(peer.name)
        if len(self._peers) > PEERS:
            self._peers.popitem(last=False)
        return tries
