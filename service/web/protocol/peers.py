"""Which callers count as one: for locks after wrong tokens, and for shares of connections."""

import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from service.config import is_loopback

_SITE_BITS: Final = 64  #: an IPv6 customer gets at least such a network, and may use all of it


@dataclass(frozen=True, slots=True)
class Peer:
    """Attributes:
    name: an address, or an IPv6 network; never one from a header.
    is_local: the connection comes from this machine.
    """

    name: str
    is_local: bool


THIS_MACHINE: Final = Peer("this machine", is_local=True)
#: All callers of a proxy on this machine that says so: their own addresses are only headers.
LOCAL_PROXY: Final = Peer("a proxy on this machine", is_local=False)
_UNKNOWN: Final = Peer("unknown", is_local=False)


@lru_cache(maxsize=1024)  # called for each connection and each token, for few peers
def peer_of(address: str | None) -> Peer:
    """Return the peer behind an address; all of this machine's addresses are one."""
    if address is None:
        return _UNKNOWN
    if is_loopback(address):
        return THIS_MACHINE
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])  # fe80::1%eth0
    except ValueError:
        return _UNKNOWN
    if isinstance(ip, ipaddress.IPv4Address):
        return Peer(str(ip), is_local=False)
    if ip.ipv4_mapped is not None:
        return Peer(str(ip.ipv4_mapped), is_local=False)
    network = ipaddress.ip_network((ip, _SITE_BITS), strict=False)
    return Peer(str(network), is_local=False)
