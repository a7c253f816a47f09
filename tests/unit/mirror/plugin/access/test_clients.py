"""For whom a connection counts."""

from types import SimpleNamespace

import pytest

from mirror.plugin.access import clients
from mirror.plugin.connections.channel import Channel


@pytest.mark.parametrize(
    ("peer", "headers", "client"),
    [
        ("192.0.2.7", {}, "192.0.2.7"),
        ("192.0.2.7", {"X_REAL_IP": "198.51.100.1"}, "192.0.2.7"),
        ("127.0.0.1", {"X_REAL_IP": "198.51.100.1"}, "198.51.100.1"),
        ("192.0.2.1", {"X_REAL_IP": "198.51.100.1"}, "198.51.100.1"),
        ("2001:db8::1", {}, "2001:db8::/64"),
        ("2001:db8::ffff", {}, "2001:db8::/64"),
        ("::ffff:192.0.2.7", {}, "192.0.2.7"),
        ("127.0.0.1", {"X_REAL_IP": "x" * 1000}, "0.0.0.0"),
    ],
)
def test_only_nginx_on_this_machine_speaks_for_others(
    peer: str, headers: dict[str, str], client: str
) -> None:
    """Who states an address of its own with each request would have no limit."""
    channel = Channel.__new__(Channel)  # no socket
    channel.is_local = clients.is_local(peer, "192.0.2.1")
    channel.peer = clients.client(peer)
    channel.name_client(SimpleNamespace(headers=headers))
    assert channel.client == client
