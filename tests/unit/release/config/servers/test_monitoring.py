"""The promises of [monitoring]."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml

START = 'app = "shop"\n[targets.production]\nhosts = ["web1"]\n[monitoring]\n'


def load(folder: Path, text: str) -> release_toml.ReleaseConfig:
    (folder / "release.toml").write_text(START + text)
    return release_toml.load(folder)


def test_one_line_measures_all_hosts_for_nobody_else(tmp_path: Path) -> None:
    """Who may ask has to be said: metrics tell much about a company."""
    monitoring = load(tmp_path, 'kind = "node-exporter"\n').monitoring
    assert monitoring
    assert (monitoring.port, monitoring.sources, monitoring.covers("production")) == (9100, [], True)


def test_addresses_and_networks_have_one_form(tmp_path: Path) -> None:
    """They become lines of nftables."""
    text = 'kind = "munin-node"\nfrom = ["10.0.0.9", "10.1.0.0/16", "FD00:0::9"]\n'
    monitoring = load(tmp_path, text).monitoring
    assert monitoring
    assert (monitoring.port, monitoring.sources) == (4949, ["10.0.0.9", "10.1.0.0/16", "fd00::9"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('kind = "nagios"\n', "monitoring.kind: input should be 'node-exporter' or 'munin-node'"),
        ('kind = "munin-node"\nfrom = ["mon.example.com"]\n', "is neither an address nor a network"),
        ('kind = "munin-node"\nfrom = ["10.0.0.9 }; drop"]\n', "is neither an address nor a network"),
        ('kind = "munin-node"\nfrom = ["fe80::1%eth0"]\n', "is neither an address nor a network"),
        ('kind = "munin-node"\nfrom = ["10.0.0.9/24"]\n', 'has bits of a host: write "10.0.0.0/24"'),
        ('kind = "munin-node"\nform = ["10.0.0.9"]\n', 'unknown key, did you mean "from"?'),
        (
            'kind = "munin-node"\ntargets = ["prod"]\n',
            "monitoring.targets: prod has no hosts, as production has",
        ),
        ('kind = "munin-node"\ntargets = ["local"]\n', "monitoring.targets: local has no hosts"),
        ('from = ["10.0.0.9"]\n', "monitoring.kind: field required"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, message: str) -> None:
    """Before anything is prepared."""
    with pytest.raises(PackhorseError) as error:
        load(tmp_path, text)
    assert message in error.value.message
