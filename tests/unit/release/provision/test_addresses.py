"""The promises of release.provision.addresses."""

import socket
from collections.abc import Sequence

import pytest

from packhorse.errors import PackhorseError
from release.agents import ssh
from release.config.release_toml import ReleaseConfig
from release.provision import addresses

CONFIG = ReleaseConfig(app="shop", addresses={"web1": ["10.0.0.5", "fd00::5"]})


def resolver(monkeypatch: pytest.MonkeyPatch, found: Sequence[str]) -> None:
    """Let ssh reach every host as NAME.internal, which has the addresses `found`."""

    def lookup(name: str, _port: None, **_: object) -> list[tuple[object, ...]]:
        assert name.endswith(".internal")
        if not found:
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, 0, 0, "", (text, 0)) for text in found]

    monkeypatch.setattr(ssh, "hostname", lambda host: f"{host}.internal")
    monkeypatch.setattr(socket, "getaddrinfo", lookup)


def test_what_the_file_says_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hosts may see each other in a network that this machine is not in."""
    resolver(monkeypatch, [])
    assert addresses.of(CONFIG, "web1") == ["10.0.0.5", "fd00::5"]


def test_else_it_is_where_ssh_reaches_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one order every time, as rules are made of them: a name server changes the order."""
    resolver(monkeypatch, ["fd00::2", "10.0.0.10", "10.0.0.9", "10.0.0.9", "fe80::1%eth0"])
    assert addresses.of(CONFIG, "web2") == ["10.0.0.9", "10.0.0.10", "fd00::2"]


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([], "db1: this machine finds no address of db1.internal."),
        (["127.0.0.1", "::1"], "db1: ssh reaches it at 127.0.0.1, ::1, where no other host does."),
    ],
)
def test_a_host_that_the_others_could_not_find_is_refused(
    monkeypatch: pytest.MonkeyPatch, found: Sequence[str], message: str
) -> None:
    """A jump host knows names that this machine does not; a forwarded port is this machine's own."""
    resolver(monkeypatch, found)
    with pytest.raises(PackhorseError) as caught:
        addresses.of(CONFIG, "db1")
    assert caught.value.message == message
    assert '[addresses]: "db1" = "10.0.0.5"' in caught.value.hint
