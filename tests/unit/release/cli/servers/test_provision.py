"""The promises of release.cli.servers.provision."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from packhorse.errors import PackhorseError
from release.cli import main
from release.provision import index_tokens, playbook, summary

SETTINGS = """
app = "shop"
index = "https://example.com/a/b"
[targets.production]
hosts = ["web1.example.com", "web2.example.com"]
"""


def run(folder: Path, *arguments: str) -> Result:
    (folder / "release.toml").write_text(SETTINGS)
    return CliRunner().invoke(main.cli, ["-C", str(folder), *arguments])


def test_the_inventory_is_what_ansible_asks_a_program_for(tmp_path: Path) -> None:
    """--list with all variables, so that it need not ask for every host."""
    listed = json.loads(run(tmp_path, "inventory", "--list").stdout)
    host = json.loads(run(tmp_path, "inventory", "--host", "web1.example.com").stdout)
    assert listed["_meta"]["hostvars"]["web1.example.com"] == host


def test_an_unknown_host_is_an_error(tmp_path: Path) -> None:
    """An empty answer would look like a host without variables."""
    assert isinstance(run(tmp_path, "inventory", "--host", "web9.example.com").exception, PackhorseError)


@pytest.mark.parametrize("arguments", [[], ["--list", "--host", "web1.example.com"]])
def test_the_inventory_wants_to_hear_what_to_print(tmp_path: Path, arguments: list[str]) -> None:
    """As Ansible's own inventory command."""
    assert run(tmp_path, "inventory", *arguments).exit_code == 2


def test_options_that_are_not_ours_are_ansibles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In any order, with and without a value."""
    given: list[object] = []
    monkeypatch.setattr(playbook, "run", lambda _config, _project, *rest: given.extend(rest[:2]))
    monkeypatch.setattr(summary, "lines", lambda *_: [])
    run(tmp_path, "provision", "production", "--limit", "web1.example.com", "--check", "-K")
    assert given == ["production", ["--check", "--limit", "web1.example.com", "-K"]]
    given.clear()
    run(tmp_path, "provision", "production", "--skip", "web1.example.com")
    # ansible-playbook would take --skip for its --skip-tags
    assert given == ["production", ["--limit", "all,!web1.example.com"]]
    given.clear()
    refused = run(tmp_path, "provision", "production", "--skip", "wbe1.example.com").exception
    assert isinstance(refused, PackhorseError)
    assert not given, "the host that should have been left out would have been prepared"


def test_a_token_is_made_for_what_installs_and_for_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who only looks, or has no login, is not asked for one."""
    made: list[dict[str, str]] = []
    monkeypatch.setattr(playbook, "run", lambda *arguments: made.append(arguments[4]()))
    monkeypatch.setattr(summary, "lines", lambda *_: [])
    monkeypatch.setattr(index_tokens, "of", lambda _config, target, _home: {target: "token"})
    for options in ([], ["--check"], ["--list-hosts"]):
        run(tmp_path, "provision", "production", *options)
    assert made == [{"production": "token"}, {}, {}]
