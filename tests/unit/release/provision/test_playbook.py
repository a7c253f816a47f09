"""The promises of release.provision.playbook."""

import os
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.config import release_toml
from release.config.release_toml import ReleaseConfig
from release.config.servers.services import Service
from release.config.target.target import Target
from release.provision import playbook

SETTINGS = """
app = "shop"
index = "https://pypi.example.com/company/prod"
[targets.production]
hosts = ["web1.example.com"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> ReleaseConfig:
    (tmp_path / "release.toml").write_text(SETTINGS)
    return release_toml.load(tmp_path)


def test_a_target_stands_for_its_group(settings: ReleaseConfig) -> None:
    """Whoever knows `release deploy production` knows this."""
    assert playbook.group(settings, "production") == "target_production"


@pytest.mark.parametrize(
    ("target", "said"), [("local", "no hosts"), ("mirror", "No host"), ("prodution", "no target")]
)
def test_a_target_without_hosts_is_refused(settings: ReleaseConfig, target: str, said: str) -> None:
    """Before Ansible says that no hosts matched, and ends well."""
    with pytest.raises(PackhorseError, match=said):
        playbook.group(settings, target)


def test_ansibles_own_options_reach_it(settings: ReleaseConfig) -> None:
    """--limit, --ask-become-pass, --tags: it has a hundred."""
    group = playbook.group(settings, "production")
    assert "--limit=web1" in playbook.command({"packhorse_group": group}, ["--limit=web1"])


def test_the_settings_of_the_user_go_first() -> None:
    """A company may have its own ansible.cfg."""
    kept = playbook.environment(Path("/p"), "production", None, {"ANSIBLE_CONFIG": "/own.cfg"})
    assert kept["ANSIBLE_CONFIG"] == "/own.cfg"
    assert kept["RELEASE_PROJECT"] == "/p"


def test_tasks_run_in_one_python_per_host() -> None:
    """Three times as fast; but a company's own ansible.cfg says how its tasks run."""
    given = playbook.environment(Path("/p"), "production", None, {})
    assert given["ANSIBLE_STRATEGY"] == "mitogen_linear"
    assert (Path(given["ANSIBLE_STRATEGY_PLUGINS"]) / "mitogen_linear.py").exists()
    assert "ANSIBLE_STRATEGY" not in playbook.environment(
        Path("/p"), "production", None, {"ANSIBLE_CONFIG": "/own"}
    )


def test_tasks_run_without_mitogen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever has Ansible alone is only slower."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "ANSIBLE_STRATEGY" not in playbook.environment(Path("/p"), "production", None, {})


def test_the_inventory_learns_of_a_host_without_a_target_and_of_another_index() -> None:
    """Ansible runs it without any options."""
    given = playbook.environment(Path("/p"), "admin@web9", "https://example.com/a/b", {"RELEASE_INDEX": "x"})
    assert given["RELEASE_INVENTORY_TARGET"] == "admin@web9"
    assert given["RELEASE_INDEX"] == "https://example.com/a/b"


def test_the_ssh_config_is_the_one_of_deploys() -> None:
    """Hosts must not mean other machines to `release provision` than to `release deploy`."""
    given = playbook.environment(Path("/p"), "production", None, {"RELEASE_SSH_CONFIG": "/a b"})
    assert given["ANSIBLE_SSH_COMMON_ARGS"] == "-F '/a b'"


def test_without_ansible_it_says_how_to_get_it(
    settings: ReleaseConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra: most who deploy never provision."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PackhorseError) as raised:
        playbook.run(settings, tmp_path, "production", [])
    assert "pip install ansible-core" in raised.value.hint


def test_hosts_get_the_version_that_runs_here_or_none(tmp_path: Path) -> None:
    """Who pins a version must not get another one without a word."""
    wanted = (
        '[mirror]\nhosts = ["pypi.example.com"]\nversion = "99.0"\nindex_url = "https://a.example.com/"\n'
    )
    (tmp_path / "release.toml").write_text(f'app = "shop"\n{wanted}')
    with pytest.raises(PackhorseError, match=r"wants Packhorse 99\.0"):
        playbook.run(release_toml.load(tmp_path), tmp_path, "mirror", [])


def test_the_playbook_and_a_program_for_the_inventory_lie_beside_the_module() -> None:
    """They are installed with the package."""
    assert (playbook.HERE / "site.yml").exists()
    assert os.access(playbook.HERE / "inventory.sh", os.X_OK)


def test_a_target_brings_the_hosts_of_its_services_and_a_service_those_alone() -> None:
    """A host of both is prepared for its application only when that is meant."""
    config = ReleaseConfig(
        app="shop",
        services={"db": Service(kind="postgresql", hosts=["db1"])},
        targets={"production": Target(hosts=["web1", "db1"], services=["db"])},
    )
    assert playbook.services(config, "production") == playbook.services(config, "db") == ["db"]
    assert playbook.all_hosts(config, "production") == ["web1", "db1"]
    assert (playbook.group(config, "db"), playbook.all_hosts(config, "db")) == ("no_hosts", ["db1"])


def test_a_target_brings_its_balancers_whose_group_the_playbook_gets() -> None:
    """Any of them may be skipped, as it may be down."""
    target = {"hosts": ["web1"], "balancer": {"hosts": ["lb1", "lb2"]}}
    config = ReleaseConfig.model_validate({"app": "shop", "targets": {"production": target}})
    assert playbook.all_hosts(config, "production") == ["web1", "lb1", "lb2"]
    assert playbook.hosts(config, "production") == ["web1"], "who deploys logs in there"
