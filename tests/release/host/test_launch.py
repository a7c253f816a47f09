"""The promises of release.host.launch that need no process."""

import os
import sys
from pathlib import Path

import pytest

from release.host import launch
from tests.release.host.places import a_layout, add_release


def test_a_process_sees_its_own_values_and_nothing_of_ours(tmp_path: Path) -> None:
    """Neither the deployer's shell nor circusd's environment reaches it."""
    layout = a_layout(tmp_path)
    add_release(layout, 3, PATH="/opt/tools", PACKHORSE_APP="forged", LANG="de_AT.UTF-8")
    seen = launch.environment(layout, 3, "web", ("127.0.0.1", 8000))
    venv = layout.release(3) / "venv"
    assert set(seen) == {
        *("HOME", "USER", "LOGNAME", "LANG", "PATH", "PYTHONUNBUFFERED", "VIRTUAL_ENV", "PORT"),
        *("PACKHORSE_APP", "PACKHORSE_RELEASE", "PACKHORSE_FOLDER", "LISTEN_FDS", "LISTEN_PID"),
    }
    assert seen["PATH"] == f"{venv}/bin:/opt/tools"
    assert (seen["PACKHORSE_APP"], seen["PACKHORSE_RELEASE"], seen["LANG"]) == ("shop", "3", "de_AT.UTF-8")
    assert (seen["LISTEN_FDS"], seen["LISTEN_PID"], seen["PORT"]) == ("2", str(os.getpid()), "8000")


def test_only_web_gets_sockets(tmp_path: Path) -> None:
    """A worker that listened would be handed requests that it does not know."""
    layout = a_layout(tmp_path)
    add_release(layout, 3)
    seen = launch.environment(layout, 3, "worker", ("127.0.0.1", 8000))
    assert not {"LISTEN_FDS", "LISTEN_PID", "PORT"} & set(seen)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ('gunicorn "shop:create_app()" -w 2', ["gunicorn", "shop:create_app()", "-w", "2"]),
        ("run 'a $b' --x=y", ["run", "a $b", "--x=y"]),
        ("run a\\ b", ["run", "a b"]),
        ("gunicorn -w $N shop:app", ["/bin/sh", "-c", "exec gunicorn -w $N shop:app"]),
        ("run \"it's $A\" 'x'", ["/bin/sh", "-c", "exec run \"it's $A\" 'x'"]),
        ("A=1 B='c d' run", ["/bin/sh", "-c", "A=1 B='c d' exec run"]),
        ("run *.txt", ["/bin/sh", "-c", "exec run *.txt"]),
        ("a && exec b", [sys.executable, "-Im", "release.host.shim", "a && exec b"]),
        ("a | b", [sys.executable, "-Im", "release.host.shim", "a | b"]),
        ("a > log", [sys.executable, "-Im", "release.host.shim", "a > log"]),
    ],
)
def test_a_shell_is_used_only_where_it_is_needed(command: str, arguments: list[str]) -> None:
    """Servers compare LISTEN_PID with their process id; a shell in between keeps the sockets from them."""
    assert launch.arguments_of(command) == arguments
