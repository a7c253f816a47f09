"""The `mirror` command: fast, explained, and clear about mistakes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mirror import config, init, last_settings, state
from mirror.cli import main, options
from packhorse.errors import PackhorseError
from tests.support.servers import completed

MIRROR = Path(sys.executable).parent / "mirror"


def _help(*command: str) -> str:
    return CliRunner().invoke(main.cli, [*command, "--help"]).output


def test_help_imports_only_click_and_a_little_of_ours() -> None:
    """It answers in a quarter of a second: each command imports what costs when it runs."""
    code = (
        "import sys; from mirror.cli import main\n"
        "try: main.cli(['--help'])\n"
        "except SystemExit: print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    ours = {name for name in loaded if name.partition(".")[0] in {"mirror", "packhorse"}}
    commands = {
        f"mirror.cli.{name}"
        for name in (
            "accounts",
            "advisories",
            "backup",
            "indexes",
            "main",
            "monitoring",
            "offline",
            "offline.bundle",
            "offline.prefetch",
            "offline.refresh",
            "options",
            "packages",
            "policy",
            "publishers",
            "server",
            "upkeep",
        )
    }
    shared = {"packhorse", "packhorse.console", "packhorse.errors", "packhorse.files"}
    assert ours == {"mirror", "mirror.cli"} | commands | shared
    assert loaded.isdisjoint({"devpi_server", "httpx", "packaging", "pydantic", "rich"})


def test_help_shows_how_to_start_and_how_to_complete() -> None:
    """Nobody should have to open a browser."""
    text = _help()
    assert "mirror init" in text
    assert "pip install --index-url" in text
    assert 'eval "$(_MIRROR_COMPLETE=bash_source mirror)"' in text


def test_help_lists_each_command_once() -> None:
    """A new one has to be given its place among the sections."""
    listed = [name for names in main.SECTIONS.values() for name in names.split()]
    assert sorted(listed) == sorted(main.cli.commands)


def test_help_shows_the_environment_variables() -> None:
    """They are the second of the four places of a setting."""
    assert "MIRROR_CONFIG" in _help()
    assert "MIRROR_SERVE_PORT" in _help("serve")
    assert "MIRROR_SERVE_HOST" in _help("serve")
    assert "MIRROR_INIT_ROOT_PASSWORD" in _help("init")


def test_help_says_what_the_exit_status_means() -> None:
    """Scripts ask for it."""
    assert "3 when it does not run" in " ".join(_help("status").split())


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_switched_on(shell: str) -> None:
    """The help promises it."""
    environment = {"_MIRROR_COMPLETE": f"{shell}_source", "PATH": "/usr/bin:/bin"}
    done = subprocess.run([MIRROR], env=environment, check=True, capture_output=True)
    assert b"_MIRROR_COMPLETE" in done.stdout


def test_platforms_are_completed() -> None:
    """Nobody knows their names by heart."""
    for command in ("prefetch", "refresh"):
        found = completed(os.environ, f"mirror {command} --platform mu")
        assert found == {"musl-x86_64", "musl-aarch64"}


def test_indexes_of_mirror_toml_are_completed_and_without_a_server_nothing_fails(tmp_path: Path) -> None:
    """Wherever an index is meant; a mistake in mirror.toml is none in the shell."""
    (tmp_path / "mirror.toml").write_text('[users.team]\n[indexes."team/own"]\n')
    environment = {**os.environ, "PACKHORSE_HOME": str(tmp_path)}
    assert completed(environment, f"mirror --config {tmp_path}/mirror.toml why --index te") == {"team/own"}
    assert completed(environment, "mirror user remove a") == set()
    (tmp_path / "mirror.toml").write_text("[")
    assert completed(environment, f"mirror --config {tmp_path}/mirror.toml why --index te") == set()


def _options(group: click.Group) -> Iterator[tuple[str, click.Option]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from _options(command)
        yield from ((name, each) for each in command.params if isinstance(each, click.Option))


def test_each_option_is_explained_and_one_name_means_one_thing() -> None:
    """What prints JSON says so in the same words; where an index is meant, names of indexes are completed."""
    found = list(_options(main.cli))
    assert [(name, option.opts) for name, option in found if not option.help] == []
    assert {option.help for _, option in found if "--json" in option.opts} == {"Print the result as JSON."}
    given = [option._custom_shell_complete for _, option in found if "--index" in option.opts]
    assert given
    assert set(given) == {options.indexes}


def test_init_says_first_which_file_it_read_and_tells_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the wrong folder, defaults would take back what the file of the right one has declared."""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setenv("PACKHORSE_HOME", str(home))
    asked: list[init.InitRequest] = []

    def run(request: init.InitRequest, *_: object) -> list[str]:
        asked.append(request)
        return []

    monkeypatch.setattr(init, "run", run)
    places = (work / "mirror.toml", home / "mirror.toml")
    none = f"no {places[0]} or {places[1]}: all settings are the defaults\n"
    for file, line, missing in [(None, none, places), (places[1], "", ()), (places[0], "", ())]:
        if file:
            file.write_text("")
        done = CliRunner().invoke(main.cli, ["init"])
        assert (done.stdout, done.stderr) == ("nothing to change\n", line or f"read {file}\n")
        assert (asked[-1].missing, asked[-1].file, asked[-1].is_named) == (missing, file or places[1], False)
    CliRunner().invoke(main.cli, ["--config", str(places[1]), "init"])
    assert (asked[-1].file, asked[-1].is_named) == (places[1], True)


@pytest.mark.parametrize("command", ["serve", "front"])
def test_a_mirror_is_not_served_with_the_settings_of_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Nor with the defaults; `--config` says what is meant."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path / "home"))
    own, other = tmp_path / "own.toml", tmp_path / "mirror.toml"
    own.write_text("threads = 7\n")
    folder = state.Folder(tmp_path / "home")
    folder.root.mkdir(parents=True)
    last_settings.remember(folder, own, config.load(own))
    asked = [CliRunner().invoke(main.cli, [command])]
    other.write_text("threads = 8\n")
    asked.append(CliRunner().invoke(main.cli, [command]))
    assert [done.exit_code for done in asked] == [1, 1]
    assert [str(done.exception).partition(" ")[0] for done in asked] == ["There", str(other)]
    named = CliRunner().invoke(main.cli, ["--config", str(other), command])
    assert "threads" not in str(named.exception)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mirror.toml that `mirror init` has read; none is where we are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PACKHORSE_HOME", str(tmp_path / "home"))
    own = tmp_path / "own.toml"
    own.write_text("threads = 7\nprune.keep_last = 3\nadvisories.max_days_old = 3\n")
    (tmp_path / "home" / "mirror").mkdir(parents=True)
    last_settings.remember(state.Folder(tmp_path / "home"), own, config.load(own))
    return own


@pytest.mark.parametrize(
    ("command", "keys"),
    [
        (["prune", "--dry-run"], "prune"),
        (["audit", "a/b"], "advisories"),
        (["advisories", "status"], "advisories"),
    ],
)
def test_no_rules_but_those_that_hold_are_gone_by(elsewhere: Path, command: list[str], keys: str) -> None:
    """The defaults keep no version, and ignore no advisory; other settings may differ."""
    done = CliRunner().invoke(main.cli, command)
    assert str(done.exception).endswith(f"differ from {elsewhere}, which `mirror init` has read: {keys}.")
    named = CliRunner().invoke(main.cli, ["--config", str(elsewhere), *command])
    assert "differ" not in str(named.exception)
    Path("mirror.toml").write_text(elsewhere.read_text().replace("threads = 7", ""))
    assert "differ" not in str(CliRunner().invoke(main.cli, command).exception)


def test_settings_in_force_are_compared_with_the_mirror_toml_that_declares_them(elsewhere: Path) -> None:
    """An edit without `mirror init` after it is told; of another file, init would refuse."""
    note = options.note_of_difference
    assert note(None, "policies", {}, {}) == ""
    assert f"these are of {elsewhere}, which `mirror init` has read" in note(None, "policies", {}, {"": {}})
    told = note(elsewhere, "policies", {}, {"": {}})
    assert told.endswith("declares other policies than these, which are in force: `mirror init` applies it.")


def test_the_audit_log_of_no_mirror_is_an_error(tmp_path: Path) -> None:
    """Nothing at all would look as if nothing had happened."""
    result = CliRunner().invoke(main.cli, ["audit-log"], env={"PACKHORSE_HOME": str(tmp_path)})
    assert isinstance(result.exception, PackhorseError)
    assert result.exception.message == f"There is no mirror in {tmp_path / 'mirror'}."
