"""Which addresses count as one caller."""

import pytest

from service.web.protocol.peers import THIS_MACHINE, peer_of


@pytest.mark.parametrize("address", ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"])
def test_every_address_of_this_machine_is_one_peer(address: str) -> None:
    assert peer_of(address) is THIS_MACHINE
    assert peer_of(address).is_local


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("somewhere", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_another_machine_is_its_address_or_its_network(address: str | None, name: str) -> None:
    peer = peer_of(address)

    assert (peer.name, peer.is_local) == (name, False)
