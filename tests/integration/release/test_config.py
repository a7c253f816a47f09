"""`release config` on this machine: values arrive byte for byte, each change is a release, nothing leaks."""

import json
import os
import select
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from release.host.request import Releases
from tests.support.load_client import Load
from tests.support.local_target import Host, running_host
from tests.support.servers import BIN, run_command, short_home
from tests.support.terminals import open_terminal, read_until
from tests.support.tiny_app import NAME

AWKWARD = b"pa$1wor$D $(id) `id` \\ \"double\" 'single' #;%(x)s\n\tsecond line\r\n \xc3\xa4 \xff\x01\x7f "


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with short_home() as home, running_host(home) as running:
        running.deploy("0.1.0")
        yield running


@pytest.fixture
def fresh(home: Path) -> Iterator[Host]:
    """An application that has never been deployed."""
    with running_host(home) as running:
        yield running


def config(host: Host, *arguments: str, stdin: bytes = b"", status: int = 0) -> bytes:
    """What `release config …` prints on stdout, or when it fails on stderr."""
    command = [str(BIN / "release"), "config", *arguments]
    done = subprocess.run(
        command, env=host.environment, cwd=host.project, input=stdin, capture_output=True, check=False
    )
    assert done.returncode == status, done.stderr.decode(errors="replace")
    return done.stderr if status else done.stdout


def seen(host: Host) -> dict[str, str]:
    """The environment of the process that answers."""
    variables: dict[str, str] = json.loads(host.get("/env"))
    return variables


def changes(host: Host) -> list[tuple[str, str, str]]:
    """State, what changed and why, of each release; the newest first."""
    return [(row["state"], row["changed"], row["reason"]) for row in host.ask(Releases)["releases"]]


def test_every_byte_arrives_by_every_way(host: Host) -> None:
    """Others have open bugs about `$`, quotes and newlines; a key is not text at all."""
    every = bytes(range(1, 256))
    (host.home / "key").write_bytes(every + b"\n\n")
    (host.home / ".env").write_bytes(
        b"FILED='" + AWKWARD.replace(b"\\", b"\\\\").replace(b"'", b"\\'") + b"'\n"
    )
    typed = "TYPED=" + os.fsdecode(AWKWARD)
    config(
        host,
        "set",
        "local",
        typed,
        f"BINARY=@{host.home / 'key'}",
        "--from-env-file",
        str(host.home / ".env"),
    )
    config(host, "set", "local", "PIPED", stdin=AWKWARD)
    config(host, "set", "local", "ECHOED", stdin=b"secret\n")
    environment = {name: os.fsencode(value) for name, value in seen(host).items()}
    expected = {
        "TYPED": AWKWARD,
        "FILED": AWKWARD,
        "PIPED": AWKWARD,
        "BINARY": every + b"\n\n",
        "ECHOED": b"secret",
    }
    assert {name: environment[name] for name in expected} == expected
    assert config(host, "get", "local", "BINARY") == expected["BINARY"]
    told = json.loads(config(host, "get", "local", "PIPED", "--json"))
    assert os.fsencode(told["value"]) == AWKWARD


def test_a_change_is_one_release_that_can_be_taken_back(host: Host) -> None:
    """Several values at once; under load; the journal says who, when and what, and no value."""
    config(host, "set", "local", "A=hunter2-old", "B=1")
    with Load(host.port) as load:
        config(host, "set", "local", "A=hunter2-new", "C=3")
        assert changes(host)[0] == ("current", "config A C", "Set A, C")
        assert {name: seen(host).get(name) for name in "ABC"} == {"A": "hunter2-new", "B": "1", "C": "3"}
        config(host, "unset", "local", "B", "C")
        assert changes(host)[0] == ("current", "config B C", "Unset B, C")
        before = len(changes(host))
        config(host, "set", "local", "A=hunter2-new")
        assert len(changes(host)) == before
        host.release("rollback", "local")
        host.release("rollback", "local")
        assert {name: seen(host).get(name) for name in "ABC"} == {"A": "hunter2-old", "B": "1", "C": None}
        host.deploy("0.2.0")
        host.deploy("0.1.0")
        assert seen(host)["A"] == "hunter2-old"
    assert load.failed == 0
    assert "hunter2" not in host.layout.journal.read_text()


def test_a_change_that_breaks_the_application_never_takes_traffic(host: Host) -> None:
    """It is probed before the switch, as any release; what served goes on, with what it had."""
    host.configure(health="timeout = 1.0")
    config(host, "set", "local", "GOOD=1")
    host.deploy("0.1.0")
    with Load(host.port) as load:
        # The interpreter of the application ends at once with it.
        assert b"release" in config(host, "set", "local", "PYTHONIOENCODING=no-such", status=1)
        assert "PYTHONIOENCODING" not in seen(host)
    assert load.failed == 0
    assert changes(host)[0][0] == "failed"
    assert b"PYTHONIOENCODING" not in config(host, "list", "local")
    host.configure()


def test_values_are_listed_masked_unless_they_are_asked_for(host: Host) -> None:
    """People list their configuration while others look at their screen."""
    host.configure(env='PLAIN = "hunter2-plain"\nBOTH = "hunter2-plain"')
    host.deploy("0.1.0")
    config(host, "set", "local", "BOTH=hunter2-set", "LINES", stdin=b"1\n2\n")
    listed = config(host, "list", "local")
    assert b"hunter2" not in listed + config(host, "list", "local", "--json")
    shown = json.loads(config(host, "list", "local", "--json", "--reveal"))
    rows = {row["name"]: (row["value"], row["from"]) for row in shown["variables"]}
    assert (rows["PLAIN"], rows["BOTH"]) == (("hunter2-plain", "deploy"), ("hunter2-set", "config"))
    assert b"1\\n2\\n" in config(host, "list", "local", "--reveal")
    config(host, "unset", "local", "BOTH")
    assert seen(host)["BOTH"] == "hunter2-plain"
    assert b"NOTHING is not set on local" in config(host, "get", "local", "NOTHING", status=1)
    assert "not unset: NOTHING, PLAIN." in host.release("config", "unset", "local", "PLAIN", "NOTHING").stderr


def test_what_packhorse_sets_itself_is_refused_with_a_reason(host: Host) -> None:
    """Before anybody is asked for a value."""
    before = changes(host)
    for name in ("PORT", "PACKHORSE_DATA", "PATH", "LD_PRELOAD"):
        told = config(host, "set", "local", f"{name}=hunter2", status=1)
        assert b"Error: " in told
        assert name.encode() in told
        assert b"hunter2" not in told
    no_name = config(
        host, "set", "local", "hunter-2=hunter2", status=1
    )  # perhaps a value, so it is not shown
    assert b"Error: Argument 1 is neither NAME nor NAME=VALUE nor NAME=@FILE." in no_name
    assert b"hunter" not in no_name
    assert changes(host) == before


def test_the_first_deploy_finds_what_it_requires(fresh: Host) -> None:
    """Nothing is installed without it, and the error is the way to it, whatever the name of the variable."""
    release_toml = fresh.project / "release.toml"
    release_toml.write_text(
        f'required = ["TARGET_KEY", "GREETING"]\n{release_toml.read_text()}GREETING = "hi"\n'
    )
    refused = fresh.deploy("0.1.0", status=1).stderr
    assert "release.toml requires TARGET_KEY, which would not be set." in refused
    assert "release config set local TARGET_KEY" in refused
    assert not list(fresh.layout.releases.iterdir())
    assert not list(fresh.layout.files.iterdir())
    assert (
        "release.toml requires TARGET_KEY"
        in fresh.release("deploy", "local", NAME, "--plan", status=1).stderr
    )
    assert json.loads(config(fresh, "list", "local", "--json"))["missing"] == ["GREETING", "TARGET_KEY"]
    config(fresh, "set", "local", "TARGET_KEY", stdin=AWKWARD)
    config(fresh, "set", "local", "OTHER=1")
    config(fresh, "unset", "local", "OTHER")
    assert fresh.layout.config.stat().st_mode & 0o777 == 0o600
    fresh.deploy("0.1.0")
    assert os.fsencode(seen(fresh)["TARGET_KEY"]) == AWKWARD
    assert not fresh.layout.config.exists()
    told = config(fresh, "unset", "local", "TARGET_KEY", status=1)
    assert b"release.toml requires TARGET_KEY" in told
    assert os.fsencode(seen(fresh)["TARGET_KEY"]) == AWKWARD


def test_secrets_are_in_files_of_their_users_and_nowhere_else(host: Host) -> None:
    """Looked for while the command runs: in argument lists, files, logs, the journal and what it prints."""
    secret = "hunter2-nowhere"
    (host.home / "secret").write_text(secret)
    command = [str(BIN / "release"), "config", "set", "local", f"TOKEN=@{host.home / 'secret'}", "PIPED"]
    lists: set[str] = set()
    with subprocess.Popen(
        command, env=host.environment, cwd=host.project, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"hunter2-piped")
        process.stdin.close()
        while process.poll() is None:
            lists |= {line for line in argument_lists() if "hunter2" in line}
        assert b"hunter2" not in process.stdout.read()
    assert process.returncode == 0
    assert not lists
    (host.home / "secret").unlink()
    assert secret not in host.release("logs", "local", "-n", "1000").stdout
    for path in host.home.rglob("*"):
        if path.is_file() and not path.is_symlink() and b"hunter2-nowhere" in path.read_bytes():
            assert (path.name, path.stat().st_mode & 0o777) == ("config.json", 0o600)


def argument_lists() -> Iterator[str]:
    """The arguments of every process on this machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield path.read_bytes().decode(errors="replace")
        except OSError:
            continue


def test_a_typed_value_is_overwritten_and_warned_about(fresh: Host) -> None:
    """Others see arguments by ps, for as long as a command runs: the shell's history we cannot clean."""
    with open_terminal() as (controller, terminal):
        command = [str(BIN / "release"), "config", "set", "local", "TYPED=hunter2-typed", "ASKED"]
        process = subprocess.Popen(
            command,
            env=fresh.environment,
            cwd=fresh.project,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        told = read_until(controller, "ASKED: ")
        assert "hunter2" not in Path(f"/proc/{process.pid}/cmdline").read_text()
        os.write(controller, b"hunter2-asked\n")
        told += read_until(controller, "first deploy")
        assert process.wait(30) == 0
    assert "your shell's history has the value of TYPED now" in told
    assert "hunter2" not in told
    assert config(fresh, "get", "local", "ASKED") == b"hunter2-asked"


def test_an_editor_changes_several_values_in_one_release(host: Host) -> None:
    """In a terminal, as people do it; wrong lines may be corrected, a key that is no text stays as it is."""
    config(host, "set", "local", "KEPT", stdin=AWKWARD)
    config(host, "set", "local", "EDITED=hunter2", "GONE=1")
    editor = host.home / "editor"
    editor.write_text('#!/bin/sh\necho editing "$1"\nread -r line\nsed -i "$line" "$1"\n')
    editor.chmod(0o755)
    before = len(changes(host))
    with open_terminal() as (controller, terminal):
        process = subprocess.Popen(
            [BIN / "release", "config", "edit", "local"],
            env={**host.environment, "EDITOR": str(editor)},
            cwd=host.project,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        path = read_until(controller, "configuration.env").partition("editing ")[2].strip()
        assert Path(path).stat().st_mode & 0o777 == 0o600
        assert "hunter2" in Path(path).read_text()
        os.write(controller, b"s/^GONE=1/GONE='1/\n")
        assert "a quote does not end" in read_until(controller, "Edit it again?")
        os.write(controller, b"y\n")
        read_until(controller, "configuration.env")
        os.write(controller, b"/^GONE/d; s/^EDITED=.*/EDITED='it\\\\'s $NEW'/\n")
        told = read_until(controller, " s)")
        assert process.wait(60) == 0
    assert "hunter2" not in told
    assert not Path(path).parent.exists()
    found = seen(host)
    assert (found["EDITED"], os.fsencode(found["KEPT"]), "GONE" in found) == ("it's $NEW", AWKWARD, False)
    assert len(changes(host)) == before + 1
    assert changes(host)[0][2] == "Set EDITED; unset GONE"


@pytest.mark.needs("age")
def test_secrets_may_be_encrypted_in_the_repository(fresh: Host) -> None:
    """By age itself, with the key where sops has it, too; what is set on the host wins."""
    key, plain = fresh.home / "keys.txt", fresh.home / "plain.env"
    run_command("age-keygen", "-o", key, env=fresh.environment)
    recipient = run_command("age-keygen", "-y", key, env=fresh.environment).stdout.strip()
    plain.write_bytes(b"A='hunter2 $x\nlines \xff'\nB=hunter2\nC=hunter2-file\n")
    file = fresh.project / "secrets.local.age"
    run_command("age", "-r", recipient, "-o", file, plain, env=fresh.environment)
    script = "import os, json; print(json.dumps(dict(C='command', D=os.environ['PACKHORSE_TARGET'], E=1)))"
    command = json.dumps(["python3", "-c", script])
    fresh.configure(
        f'secrets = "secrets.local.age"\nconfig_command = {command}', env='E = "plain"\nF = "plain"'
    )
    config(fresh, "set", "local", "B=set")
    refused = fresh.deploy("0.1.0", status=1)
    assert "Error: age failed (1)." in refused.stderr
    environment = {**fresh.environment, "SOPS_AGE_KEY_FILE": str(key)}
    done = subprocess.run(
        [BIN / "release", "deploy", "local", f"{NAME}==0.1.0"],
        env=environment, cwd=fresh.project, capture_output=True, check=True,
    )  # fmt: skip
    assert b"hunter2" not in done.stdout + done.stderr
    found = seen(fresh)
    expected = {
        "A": "hunter2 $x\nlines \udcff",
        "B": "set",
        "C": "hunter2-file",
        "D": "local",
        "E": "1",
        "F": "plain",
    }
    assert {name: found[name] for name in expected} == expected
    config(fresh, "set", "local", "NEW=1")  # needs no key
    assert seen(fresh)["A"] == expected["A"]


def test_a_command_that_fails_stops_the_deploy_and_what_it_printed_is_not_shown(fresh: Host) -> None:
    """Its words on stderr are the user's, its output is a secret."""
    for script, message in (
        ("echo hunter2; echo locked >&2; exit 3", "Error: sh failed (3)."),
        ("echo hunter2", "Error: sh: line 1 is not NAME=VALUE"),
        ('echo \'{"A": ["hunter2"]}\'', "Error: sh: A is a list or an object"),
    ):
        fresh.configure(f"config_command = {json.dumps(['sh', '-c', script])}")
        failed = fresh.deploy("0.1.0", status=1).stderr
        assert message in failed
        assert "hunter2" not in failed
        assert ("locked" in failed) == ("locked" in script)
    assert not fresh.layout.folder.exists()


@pytest.mark.parametrize("pasted", [b"-----BEGIN hunter2\nhunter2\n", b"h" * 5000 + b"\n"])
def test_a_key_is_not_cut_off_where_its_first_line_ends(fresh: Host, pasted: bytes) -> None:
    """Pasted into a terminal: half of it would be set, and the shell would run the rest."""
    with open_terminal() as (controller, terminal):
        command = [str(BIN / "release"), "config", "set", "local", "KEY"]
        process = subprocess.Popen(
            command,
            env=fresh.environment,
            cwd=fresh.project,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
        told = read_until(controller, "KEY: ")
        os.write(controller, pasted)
        told += read_until(controller, "standard input")
        assert process.wait(30) == 1
        assert not select.select([terminal], [], [], 0)[0]
    assert "KEY: what you gave has several lines" in told
    assert "hunter2" not in told
    assert not fresh.layout.config.exists()
