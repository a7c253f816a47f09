"""The promises of release.config.servers.firewall and release.config.servers.updates."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.release_toml import ReleaseConfig


def settings(folder: Path, text: str) -> ReleaseConfig:
    (folder / "release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


def test_without_the_tables_there_is_neither(tmp_path: Path) -> None:
    """Hosts that exist must not close anything after an upgrade of ours."""
    config = settings(tmp_path, "")
    assert (config.firewall, config.updates) == (None, None)
    config = settings(tmp_path, "[firewall]\n[updates]\n")
    assert config.firewall
    assert config.updates
    assert (config.firewall.ssh_from, config.firewall.allow, config.updates.reboot_at) == ([], [], None)


def test_ports_networks_and_reasons_are_read(tmp_path: Path) -> None:
    """A port is a number; a range is text, as Debian's tools write it."""
    text = (
        '[firewall]\nssh_from = ["192.0.2.7/32", "2001:db8::/32"]\n'
        '[[firewall.allow]]\nport = 9100\nfrom = ["10.0.0.0/8"]\nwhy = "node exporter"\n'
        '[[firewall.allow]]\nport = "60000-61000"\nprotocol = "udp"\nhosts = ["web1"]\n'
    )
    firewall = settings(tmp_path, text).firewall
    assert firewall
    assert firewall.ssh_from == ["192.0.2.7", "2001:db8::/32"]
    assert [(rule.port, rule.protocol, rule.sources, rule.why) for rule in firewall.allow] == [
        ("9100", "tcp", ["10.0.0.0/8"], "node exporter"),
        ("60000-61000", "udp", [], "declared"),
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('ssh_from = ["office.example.com"]', '"office.example.com" is neither an address nor a network'),
        ('ssh_from = ["10.0.0.1/8"]', '"10.0.0.1/8" has bits of a host: write "10.0.0.0/8"'),
        ('ssh_from = ["fe80::1%eth0"]', "is neither an address nor a network"),
        ('ssh_from = ["10.0.0.0/8 } accept #"]', "is neither an address nor a network"),
        ("confirm_within = 1", "confirm_within"),
        ("confirm_within = 100000", "confirm_within"),
        ("ssh_form = []", 'ssh_form: unknown key, did you mean "ssh_from"?'),
        ("[[firewall.allow]]\nport = 0", "0 is neither a port such as 9100"),
        ("[[firewall.allow]]\nport = 65536", "65536 is neither a port such as 9100"),
        ("[[firewall.allow]]\nport = true", "true is neither a port such as 9100"),
        ('[[firewall.allow]]\nport = "90-80"', "is neither a port such as 9100"),
        ('[[firewall.allow]]\nport = "80; flush ruleset"', "is neither a port such as 9100"),
        ('[[firewall.allow]]\nport = "http"', "is neither a port such as 9100"),
        ('[[firewall.allow]]\nport = 80\nprotocol = "icmp"', "allow.0.protocol"),
        ("[[firewall.allow]]\nport = 80\nwhy = 'a\" accept'", "is not a reason of letters"),
        ("[[firewall.allow]]\nport = 80\nfroms = []", 'froms: unknown key, did you mean "from"?'),
        ("[[firewall.allow]]\nport = 80\nsources = []", "sources: unknown key"),
        ("[updates]\nreboot_at = '4:00'", 'reboot_at: "4:00" is not a time of day'),
        ("[updates]\nreboot_at = '04:00\";'", "is not a time of day"),
        ("[updates]\nreboot_at = '24:00'", "is not a time of day"),
    ],
)
def test_what_has_another_form_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    """Every value becomes text of nftables or apt."""
    with pytest.raises(PackhorseError) as raised:
        settings(tmp_path, f"[firewall]\n{text}\n")
    assert said in raised.value.message
