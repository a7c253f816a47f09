"""A release runs on the Python that release.toml or .python-version asks for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk import releases
from release.host.install import interpreter
from tests.support.local_target import Host, running_host


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    # Those of pyenv lie side by side, and perhaps only the one of these tests is in the path.
    beside = ":".join(map(str, Path(sys.base_prefix).parent.glob("*/bin")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{os.environ['PATH']}:{beside}")
        with running_host(tmp_path_factory.mktemp("host")) as made:
            yield made


def another(host: Host) -> interpreter.Interpreter:
    """A Python of this machine that is not the one of these tests."""
    for minor in range(11, 20):
        try:
            found = interpreter.find(host.layout, f"3.{minor}")
        except PackhorseError:
            continue
        if not found.is_own:
            return found
    pytest.fail("there is only one Python from 3.11 on: install another, as with `uv python install 3.13`")


def test_a_release_runs_on_the_python_that_was_asked_for(host: Host) -> None:
    """By the file that developers have anyway; going back goes back to the Python from then."""
    python = another(host)
    host.deploy("0.1.0")
    (host.project / ".python-version").write_text(f"{python.version}\n")
    host.release("deploy", "local", "tiny==0.1.0")
    number = releases.require_current(host.layout)
    minor = python.version.rpartition(".")[0]
    assert f"Python {minor}" in host.release("releases", "local").stdout
    venv = host.layout.release(number) / "venv"
    told = subprocess.run([venv / "bin" / "python", "-V"], capture_output=True, text=True, check=True)
    assert told.stdout == f"Python {python.version}\n"
    assert [path.name for path in (venv / "lib").iterdir()] == [f"python{minor}"]
    compiled = list(venv.glob("lib/*/site-packages/tiny/__pycache__/*.pyc"))
    assert compiled
    assert all(minor.replace(".", "") in path.name for path in compiled)
    assert releases.read_manifest(host.layout, number).python == python.version
    host.release("rollback", "local")
    assert releases.read_manifest(host.layout, number + 1).python == interpreter.own().version
    host.release("rollback", "local", str(number))
    assert releases.read_manifest(host.layout, number + 2).python == python.version


def test_a_python_that_is_missing_is_named_before_anything_is_done(host: Host) -> None:
    """The old release serves on; --plan says it, too."""
    host.deploy("0.2.0")
    before = releases.numbers(host.layout)
    host.configure('python = "3.97"')
    for more in ((), ("--plan",)):
        refused = host.release("deploy", "local", "tiny==0.1.0", *more, status=1).stderr
        assert "There is no Python 3.97 on this host" in refused
    assert releases.numbers(host.layout) == before
