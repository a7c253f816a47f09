"""The promises of release.config.target.host_argument."""

import pytest

from packhorse.errors import PackhorseError
from release.config.target import host_argument
from release.config.target.host_argument import HostArgument

TARGETS = {"production": ["web1.example.com", "web2.example.com"], "staging": ["stage.example.com"]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web3.example.com", HostArgument("web3.example.com")),
        ("admin@web3", HostArgument("web3", "admin")),
        ("Ann.Lee@web3", HostArgument("web3", "Ann.Lee")),
        ("web3", HostArgument("web3")),  # an alias of ~/.ssh/config
        ("192.0.2.7", HostArgument("192.0.2.7")),
        ("2001:db8::7", HostArgument("2001:db8::7")),
        ("admin@[2001:db8::7]", HostArgument("2001:db8::7", "admin")),
        ("[fe80::1%eth0]", HostArgument("fe80::1%eth0")),
        ("admin@prod", HostArgument("prod", "admin")),  # with a user it can be no target
    ],
)
def test_a_host_is_named_as_for_ssh(text: str, expected: HostArgument) -> None:
    """Who has one server need not declare a target."""
    assert host_argument.find(text, TARGETS) == expected


@pytest.mark.parametrize("text", ["prodution", "prod", "Production", "stagin", "locl", "localhost"])
def test_a_misspelled_target_is_no_host(text: str) -> None:
    """It would be deployed to with defaults for all that the target sets, wherever that name leads."""
    with pytest.raises(PackhorseError, match="did you mean") as caught:
        host_argument.find(text, TARGETS)
    assert "local, production, staging" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "-oProxyCommand=reboot",
        "a b",
        "",
        "web1;reboot",
        "@web1",
        "ssh://web3",
        "-x@web3",
        "web3\n",
        "ü.example",
    ],
)
def test_what_ssh_would_not_take_for_a_host_is_refused(text: str) -> None:
    """Least of all an option."""
    with pytest.raises(PackhorseError, match="There is no target"):
        host_argument.find(text, TARGETS)


def test_a_port_belongs_into_the_configuration_of_ssh() -> None:
    """Then every program that uses ssh knows it."""
    with pytest.raises(PackhorseError) as caught:
        host_argument.find("web3:2222", TARGETS)
    assert caught.value.hint == "Write there: Host web3, and below it: Port 2222"


@pytest.mark.parametrize(
    "text", ["web2.example.com", "admin@web2.example.com", "WEB2.Example.com", "web2.example.com."]
)
def test_a_host_of_a_target_needs_its_settings(text: str) -> None:
    """Without them it would lose its domains and its environment."""
    with pytest.raises(PackhorseError, match=r"(?i)web2\.example\.com\.? is a host of the target production"):
        host_argument.find(text, TARGETS)
