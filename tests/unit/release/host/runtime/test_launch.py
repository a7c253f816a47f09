"""The promises of release.host.runtime.launch that need no process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from release.host.disk import releases
from release.host.runtime import launch
from tests.support.release_folders import a_layout, a_manifest, add_release


def test_a_process_sees_its_own_values_and_nothing_of_ours(tmp_path: Path) -> None:
    """Neither the deployer's shell nor circusd's environment reaches it."""
    layout = a_layout(tmp_path)
    add_release(layout, 3, PATH="/opt/tools", PACKHORSE_APP="forged", LANG="de_AT.UTF-8")
    seen = launch.environment(layout.release(3), listens=True)
    venv = layout.release(3) / "venv"
    assert set(seen) == {
        *("HOME", "USER", "LOGNAME", "LANG", "PATH", "PYTHONUNBUFFERED", "VIRTUAL_ENV"),
        *("PACKHORSE_APP", "PACKHORSE_RELEASE", "PACKHORSE_FOLDER", "PACKHORSE_DATA", "DATA_DIR"),
        *("LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"),
    }
    assert seen["PATH"] == f"{venv}/bin:/opt/tools"
    assert (seen["PACKHORSE_APP"], seen["PACKHORSE_RELEASE"], seen["LANG"]) == ("shop", "3", "de_AT.UTF-8")
    assert (seen["LISTEN_FDS"], seen["LISTEN_PID"]) == ("1", str(os.getpid()))


def test_a_process_without_a_socket_is_told_of_none(tmp_path: Path) -> None:
    """A worker that listened would be handed requests that it does not know."""
    layout = a_layout(tmp_path)
    add_release(layout, 3)
    worker = launch.environment(layout.release(3), listens=False)
    assert not {"LISTEN_FDS", "LISTEN_PID", "PORT"} & set(worker)


@pytest.mark.parametrize(
    ("command", "wants"),
    [
        ("waitress-serve --port=$PORT shop:app", True),
        ('waitress-serve --listen "127.0.0.1:${PORT}" shop:app', True),
        ("gunicorn shop:app", False),
        ("uvicorn --fd 3 shop:app", False),
        ("run $PORTAL", False),
        ("daphne --fd 3 shop:app", True),
    ],
)
def test_a_line_that_names_the_port_listens_there(command: str, wants: bool) -> None:  # noqa: FBT001
    """Everything else takes the listener that it inherits."""
    assert launch.wants_port(command) is wants


def test_a_release_starts_without_any_installed_package(tmp_path: Path) -> None:
    """Its launcher outlives the agent that made it: -S hides what is installed."""
    layout = a_layout(tmp_path)
    (layout.release(3) / "work").mkdir(parents=True)
    releases.write_manifest(layout, a_manifest(3, {"worker": "serve"}), {})
    command = [sys.executable, "-IS", str(layout.launcher(3)), "worker"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert "There is no program serve in the release" in done.stdout


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
        ("a && exec b", [sys.executable, "-IS", "/r/3/shim.py", "a && exec b"]),
        ("a | b", [sys.executable, "-IS", "/r/3/shim.py", "a | b"]),
        ("a > log", [sys.executable, "-IS", "/r/3/shim.py", "a > log"]),
    ],
)
def test_a_shell_is_used_only_where_it_is_needed(command: str, arguments: list[str]) -> None:
    """Servers compare LISTEN_PID with their process id; a shell in between keeps the sockets from them."""
    assert launch.arguments_of(command, Path("/r/3")) == arguments
