"""The promises of release.config.external: what a tool prints becomes variables, or an error without it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from packhorse import process
from packhorse.errors import PackhorseError
from release.config import external, release_toml

SECRET = "hunter2-hunter2"


class Tool:
    """A program that prints `output` and ends with `status`."""

    def __init__(self, output: bytes = b"", status: int = 0) -> None:
        self.output = output
        self.status = status
        self.calls: list[tuple[list[str], Path, str]] = []

    def __call__(
        self, command: Sequence[str], *, cwd: Path, env: Mapping[str, str], timeout: float
    ) -> tuple[int, bytes]:
        assert timeout == external.TIMEOUT
        self.calls.append((list(command), cwd, env["PACKHORSE_TARGET"]))
        return self.status, self.output


def settings(folder: Path, text: str) -> release_toml.ReleaseConfig:
    (folder / "release.toml").write_text(f'app = "shop"\n{text}')
    return release_toml.load(folder)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (b'{"A": "it\'s $x\\n", "B": 8000, "C": true, "D": 1.5, "E": ""}',
         {"A": "it's $x\n", "B": "8000", "C": "true", "D": "1.5", "E": ""}),
        (b'\n {"A": "\xc3\xa4"}\n', {"A": "ä"}),
        (b"A='1\n2'\nB=3\n", {"A": "1\n2", "B": "3"}),
        (b"A=\xff\n", {"A": "\udcff"}),
        (b"", {}),
    ],
)  # fmt: skip
def test_json_and_lines_are_understood(tmp_path: Path, output: bytes, expected: dict[str, str]) -> None:
    """What vaults, password managers and shell scripts print."""
    config = settings(tmp_path, '[config]\ncommand = ["vault", "read it"]\n')
    tool = Tool(output)
    assert external.read(tmp_path, "local", config, tool) == expected
    assert tool.calls == [(["vault", "read it"], tmp_path, "local")]


@pytest.mark.parametrize(
    "output",
    [
        f'{{"A": "{SECRET}"'.encode(),
        f'{{"A": ["{SECRET}"]}}'.encode(),
        f'{{"A": {{"b": "{SECRET}"}}}}'.encode(),
        b'{"A": null}',
        f"{SECRET}\n".encode(),
        f"PATH={SECRET}\n".encode(),
        f"A='{SECRET}\n".encode(),
    ],
)
def test_anything_else_is_refused_without_showing_it(tmp_path: Path, output: bytes) -> None:
    """An error is shown, kept in CI's logs, and sent to colleagues."""
    config = settings(tmp_path, '[config]\ncommand = ["vault"]\n')
    with pytest.raises(PackhorseError) as refused:
        external.read(tmp_path, "local", config, Tool(output))
    shown = [refused.value.message, refused.value.hint, refused.value.detail, repr(refused.value.__cause__)]
    assert SECRET not in str(shown)


@pytest.mark.parametrize(
    ("status", "message"), [(3, r"vault failed \(3\)"), (124, "did not end within 300 s")]
)
def test_a_tool_that_fails_stops_the_deploy(tmp_path: Path, status: int, message: str) -> None:
    """What it printed until then is not used."""
    config = settings(tmp_path, '[config]\ncommand = ["vault"]\n')
    with pytest.raises(PackhorseError, match=message) as refused:
        external.read(tmp_path, "local", config, Tool(SECRET.encode(), status))
    assert SECRET not in refused.value.message + refused.value.detail


def test_a_tool_that_is_missing_is_named(tmp_path: Path) -> None:
    """Before anything is deployed."""
    config = settings(tmp_path, '[config]\ncommand = ["no-such-vault"]\n')
    with pytest.raises(PackhorseError, match="There is no program no-such-vault"):
        external.read(tmp_path, "local", config)


def test_the_command_of_a_target_wins_and_the_file_of_secrets_over_both(tmp_path: Path) -> None:
    """The nearer one."""
    text = (
        '[config]\ncommand = ["all"]\n[targets.production]\nconfig_command = ["one"]\n'
        'secrets = "secrets.production.yaml"\n[targets.staging]\n'
    )
    config = settings(tmp_path, text)
    with pytest.raises(PackhorseError, match=r"There is no file .*secrets\.production\.yaml"):
        external.read(tmp_path, "production", config, Tool())
    (tmp_path / "secrets.production.yaml").touch()
    tool = Tool()
    external.read(tmp_path, "production", config, tool)
    external.read(tmp_path, "staging", config, tool)
    path = str(tmp_path / "secrets.production.yaml")
    assert [command for command, *_ in tool.calls] == [
        ["one"],
        ["sops", "--decrypt", "--output-type", "json", path],
        ["all"],
    ]


def test_without_settings_no_program_runs(tmp_path: Path) -> None:
    """The usual case."""
    tool = Tool()
    assert external.read(tmp_path, "local", settings(tmp_path, ""), tool) == {}
    assert tool.calls == []


def test_age_gets_the_key_that_sops_would_take(tmp_path: Path) -> None:
    """One place for keys; without one, age asks for a passphrase."""
    keys = tmp_path / "keys.txt"
    keys.touch()
    path = tmp_path / "secrets.age"
    expected = ["age", "--decrypt", "--identity", str(keys), str(path)]
    assert external.decryption(path, {"SOPS_AGE_KEY_FILE": str(keys)}) == expected
    assert external.decryption(path, {"SOPS_AGE_KEY_FILE": f"{keys}.not"}) == ["age", "--decrypt", str(path)]


def test_output_is_read_whole_and_stderr_stays_the_users(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A password manager asks there."""
    command = ["sh", "-c", r"printf 'A=\377' ; echo question >&2; pwd"]
    status, output = process.read(command, cwd=tmp_path, env=os.environ, timeout=60)
    assert (status, output) == (0, b"A=\xff" + os.fsencode(f"{tmp_path}\n"))
    assert capfd.readouterr().err == "question\n"
    status, _ = process.read(["sleep", "60"], cwd=tmp_path, env=os.environ, timeout=0.1)
    assert status == process.TIMED_OUT
