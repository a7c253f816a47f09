"""The promises of release.deploy.destinations."""

from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml, unchecked
from release.deploy import destinations
from release.deploy.connection import LocalDestination
from release.deploy.ssh import SshDestination

HERE = Path(__file__).parents[4]


def test_hosts_are_asked_as_the_application_s_user() -> None:
    """Its name, unless the target has another; in the order in which they are written."""
    found = destinations.of_target("production", ["web2", "web1"], None, "shop", Path("/h"))
    assert found == {
        "web2": SshDestination("web2", "shop", "shop"),
        "web1": SshDestination("web1", "shop", "shop"),
    }
    assert list(found) == ["web2", "web1"]
    other = destinations.of_target("production", ["web1"], "www", "shop", Path("/h"))
    assert other == {"web1": SshDestination("web1", "www", "shop")}


def test_a_target_without_hosts_is_this_machine() -> None:
    """The same agent, kept for all applications."""
    assert destinations.of_target("local", None, None, "shop", Path("/h")) == {
        "local": LocalDestination("/h/agent", "local")
    }


@pytest.mark.parametrize("target", ["local", "production"])
def test_where_agents_are_expected_they_are_needed(tmp_path: Path, target: str) -> None:
    """Else every command would start them twice."""
    (tmp_path / "release.toml").write_text((HERE / "release.example.toml").read_text())
    settings = release_toml.load(tmp_path)
    chosen = settings.target(target)
    needed = destinations.of_target(target, chosen.hosts, chosen.user, settings.app, tmp_path)
    assert destinations.expected(unchecked.read(tmp_path).tables, target, tmp_path) == list(needed.values())


@pytest.mark.parametrize(
    "text",
    [
        'targets = "all"',
        'targets.production = "web1"',
        'targets.production.hosts = "web1"',
        "targets.production.hosts = [1]",
        'targets.production.hosts = ["-oProxyCommand=reboot"]',
        'targets.production = {hosts = ["web1"], user = "-x"}',
        'app = "../shop"\ntargets.production.hosts = ["web1"]',
        'targets.preview.hosts = ["web1"]',
    ],
)
def test_nothing_is_started_for_what_cannot_be_right(tmp_path: Path, text: str) -> None:
    """release_toml.py says what is wrong; until then nobody is spoken to."""
    (tmp_path / "release.toml").write_text(text)
    assert destinations.expected(unchecked.read(tmp_path).tables, "production", tmp_path) == []
    with pytest.raises(PackhorseError):
        release_toml.load(tmp_path).target("production")
