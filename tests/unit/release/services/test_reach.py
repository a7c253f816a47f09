"""The promises of release.services.reach: what hosts say is bounded, and read strictly."""

from collections.abc import Callable
from pathlib import Path
from typing import IO

import pytest

from packhorse import console
from packhorse.errors import PackhorseError
from release.config.release_toml import ReleaseConfig
from release.services import answers, reach

HOST = reach.Host("db1", "admin", "production")


def test_an_answer_comes_back_and_progress_is_shown(ssh: Callable[[str], None]) -> None:
    """What it is asked goes to standard input: arguments are for all to see."""
    ssh('read line; echo "* half done" >&2; echo "{\\"had\\": $line}"')
    shown: list[str] = []
    assert HOST.ask("/x/packhorse-service", "list", {"name": "n"}, shown.append) == {"had": {"name": "n"}}
    assert shown == ["half done"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("""echo '{"error": "No room.", "hint": "Make some."}'; exit 1""", "db1: No room."),
        ("echo hello", "db1: something else than packhorse-service answers."),
        ("printf '[1]'", "db1: something else than packhorse-service answers."),
        ("head -c 200000 /dev/zero | tr '\\0' '['", "db1: something else than packhorse-service answers."),
        (
            "echo sudo: a password is required >&2; exit 1",
            "db1: admin may not become root without a password",
        ),
        ("echo sh: 1: exec: x: not found >&2; exit 127", "db1 has no packhorse-service"),
        ("echo sudo: /x: command not found >&2; exit 1", "db1 has no packhorse-service"),
        (
            "echo No such file or directory: y >&2; exit 1",
            "db1: packhorse-service failed (status 1): No such",
        ),
        ("echo Connection refused >&2; exit 255", "db1: it cannot be reached: Connection refused"),
        ("echo boom >&2; exit 3", "db1: packhorse-service failed (status 3): boom"),
    ],
)
def test_each_failure_has_words_of_its_own(ssh: Callable[[str], None], script: str, message: str) -> None:
    """A host that was taken over may answer anything."""
    ssh(f"cat > /dev/null; {script}")
    with pytest.raises(PackhorseError) as raised:
        HOST.ask("/x/packhorse-service", "list")
    assert raised.value.message.startswith(message)


def test_a_host_that_is_silent_is_named_once(
    ssh: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ssh tries for ten seconds to reach one that is down; what shows progress needs no such line."""
    told: list[str] = []

    def echo(text: str, *, err: bool) -> None:
        assert err
        told.append(text)
        (tmp_path / "told").touch()

    monkeypatch.setattr(console, "echo", echo)
    monkeypatch.setattr(reach, "PATIENCE", 0)
    ssh(f"while [ ! -e {tmp_path}/told ]; do sleep 0.01; done; echo '{{}}'")
    HOST.ask("/x/packhorse-service", "list")
    assert told == ["  Waiting for db1"]
    monkeypatch.setattr(reach, "PATIENCE", 3600)
    ssh("echo '* at work' >&2; echo '{}'")
    HOST.ask("/x/packhorse-service", "list")
    assert told == ["  Waiting for db1"]


@pytest.mark.parametrize(("script", "status"), [("exit 3", 3), ("exit 0", 0), ("kill -9 $$", -9)])
def test_a_client_that_has_our_terminal_ends_with_its_own_status(
    ssh: Callable[[str], None], script: str, status: int
) -> None:
    """A script that fails must not look as if it had worked."""
    ssh(script)
    assert HOST.run_attached("/bin/sh", "-c", "true", terminal=False) == status


def test_a_host_without_the_program_says_so_and_not_its_shell(
    ssh: Callable[[str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    """With the target that `release provision` takes."""
    ssh('for last; do :; done; eval "$last"')  # as sshd lets a shell run it
    with pytest.raises(reach.NotProvisionedError) as refused:
        HOST.run_attached("/nonexistent/packhorse-service-backup", "shell", "x", terminal=False)
    assert refused.value.message.startswith("db1 has no packhorse-service-backup")
    assert refused.value.hint == "Run: release provision production"
    assert capfd.readouterr().err == ""


CONFIG = ReleaseConfig.model_validate(
    {
        "app": "shop",
        "services": {
            "db": {"kind": "postgresql", "hosts": ["db1"], "backup": {"copy_to": "vault"}},
            "cache": {"kind": "redis", "hosts": ["db2"]},
        },
        "targets": {
            "staging": {"hosts": ["web2", "db1"]},
            "production": {"hosts": ["web1"], "services": ["db"]},
        },
    }
)


@pytest.mark.parametrize(
    ("host", "target"),
    [("db1", "production"), ("vault", "production"), ("web2", "staging"), ("db2", "cache"), ("x", "TARGET")],
)
def test_a_hint_names_what_prepares_the_host(host: str, target: str) -> None:
    """The target whose databases are there, first; what the command is about before all."""
    assert reach.host(CONFIG, host).target == target
    assert reach.host(CONFIG, host, "other").target == "other"


@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../x"},
        {"name": "20260101T000000Z\x1b[2J"},
        {"name": "20261332T250000Z"},
        {"size": -1},
        {"size": "1"},
        {"rows": None},
        {"sha256": "a b"},
    ],
)
def test_a_backup_that_no_program_of_ours_answers_is_refused(change: dict[str, object]) -> None:
    """Its name becomes the name of a file here."""
    good: dict[str, object] = {"name": "20260101T000000Z", "database": "x", "kind": "redis", "version": "7"}
    good |= {"size": 1, "sha256": "0", "rows": 1, "tables": 1}
    answers.read(answers.Backup, good, "db1")
    with pytest.raises(PackhorseError, match="db1 answered what no program of ours does"):
        answers.read(answers.Backup, {**good, **change}, "db1")


def test_why_a_host_stops_reading_is_what_counts(ssh: Callable[[str], None]) -> None:
    """A full disk, or that it has the file already: the pipe breaks before all of a large file has gone."""

    def feed(stdin: IO[bytes]) -> None:
        with stdin:
            stdin.write(bytes(2**22))

    ssh("""read line; echo '{"error": "The disk is full.", "hint": "Make room."}'; exit 1""")
    with pytest.raises(PackhorseError, match="db1: The disk is full"):
        HOST.converse(["x"], feed)
    ssh("""read line; echo '{"backup": null}'""")
    assert HOST.converse(["x"], feed) == {"backup": None}
