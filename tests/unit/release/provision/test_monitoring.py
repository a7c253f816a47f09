"""The promises of release.provision.monitoring."""

from pathlib import Path

import pytest

from release.config import release_toml
from release.config.target.target import Target
from release.provision import firewall, monitoring

TEXT = """
app = "shop"
[targets.production]
hosts = ["web1", "both"]
[services.my-db]
kind = "postgresql"
hosts = ["db1"]
[mirror]
hosts = ["pypi"]
[monitoring]
kind = "node-exporter"
from = ["10.0.0.9"]
"""


@pytest.mark.parametrize(
    ("chosen", "measured"),
    [
        ("", {"web1", "both", "db1", "pypi"}),
        ('targets = ["production"]', {"web1", "both"}),
        ('targets = ["my-db", "mirror"]', {"db1", "pypi"}),
    ],
)
def test_all_hosts_are_measured_or_those_of_chosen_targets(
    tmp_path: Path, chosen: str, measured: set[str]
) -> None:
    """Of services and of the mirror, too."""
    (tmp_path / "release.toml").write_text(f"{TEXT}{chosen}\n")
    config = release_toml.load(tmp_path)
    hosts = ("web1", "both", "db1", "pypi")
    assert {host for host in hosts if monitoring.of(config, host, config.targets)} == measured


def test_a_host_gets_what_answers_there_and_who_may_ask(tmp_path: Path) -> None:
    """Also one that was named instead of a target, as it is one of the project's."""
    (tmp_path / "release.toml").write_text(TEXT)
    config = release_toml.load(tmp_path)
    expected = {"kind": "node-exporter", "from": ["10.0.0.9"], "project": "shop"}
    assert monitoring.of(config, "web1", config.targets) == expected
    assert monitoring.of(config, "new.example.com", {"x": Target(hosts=["new.example.com"])}) == expected
    (tmp_path / "release.toml").write_text(TEXT.partition("[monitoring]")[0])
    assert monitoring.of(release_toml.load(tmp_path), "web1", config.targets) is None


def test_the_firewall_lets_in_those_who_may_ask(tmp_path: Path) -> None:
    """And nobody where nobody is named: the host itself needs no rule."""
    for text, expected in ((TEXT, [("9100", ["10.0.0.9"])]), (TEXT.replace("10.0.0.9", ""), [])):
        (tmp_path / "release.toml").write_text(text.replace('[""]', "[]") + "[firewall]\n")
        config = release_toml.load(tmp_path)
        rules = firewall.of(config, tmp_path, "web1", config.targets)
        assert rules
        found = [(rule["port"], rule["from"]) for rule in rules["allow"] if rule["why"] == "monitoring"]
        assert found == expected
