"""The Python that a release asks for is found among those of the host, or named with the remedy."""

import json
import sys
from pathlib import Path

import pytest

from packhorse.errors import PackhorseError
from release.host.disk.layout import SERVER_ROOT, SERVER_RUN, Layout
from release.host.disk.manifest import File
from release.host.install import interpreter, release_folder
from tests.support.release_folders import a_layout

OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


def a_python(folder: Path, version: str, says: str = "") -> Path:
    """A program of the name of a Python that answers as one of `version`, or `says` something else."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"python{version}"
    answer = {
        "path": str(path),
        "version": f"{version}.4",
        "environment": {"python_version": version},
        "tags": [["cp397", "cp397", "linux_riscv64"], ["py3", "none", "any"]],
    }
    path.write_text(f"#!/bin/sh\ncat <<'END'\n{says or json.dumps(answer)}\nEND\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("version", [None, OWN])
def test_the_agents_own_python_need_not_be_asked(version: str | None, tmp_path: Path) -> None:
    """Most hosts have one: a question would take as long as a tenth of a deploy."""
    found = interpreter.find(a_layout(tmp_path), version)
    assert found == interpreter.own()
    assert found.is_own


def test_another_python_is_found_on_the_path_and_asked_what_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broken one before it (a shim of pyenv, a removed library) is no reason to give up."""
    monkeypatch.setenv("HOME", str(tmp_path))
    a_python(tmp_path / "broken", "3.97", "pyenv: python3.97: command not found")
    expected = a_python(tmp_path / "good", "3.97")
    monkeypatch.setenv("PATH", f"{tmp_path / 'none'}:{tmp_path / 'broken'}:{tmp_path / 'good'}:/usr/bin:/bin")
    found = interpreter.find(a_layout(tmp_path), "3.97")
    assert (found.path, found.version, found.is_own) == (str(expected), "3.97.4", False)
    names = ["shop-1.0-py3-none-any.whl", "shop-1.0-cp397-cp397-linux_riscv64.whl"]
    chosen = release_folder.select_file([File("shop", name, "0" * 64) for name in names], found)
    assert chosen.filename == names[1]


def test_what_uv_and_pyenv_have_installed_for_the_user_counts_on_local_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On servers, the user that runs the processes could not read it."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    expected = a_python(tmp_path / ".local/share/uv/python/cpython-3.97.4-linux/bin", "3.97")
    assert interpreter.find(a_layout(tmp_path), "3.97").path == str(expected)
    with pytest.raises(PackhorseError, match=r"no Python 3\.97 on this host") as caught:
        interpreter.find(Layout("shop", SERVER_ROOT, SERVER_RUN), "3.97")
    assert "release provision" in caught.value.hint


def test_a_real_python_is_asked_without_its_packages(tmp_path: Path) -> None:
    """`packaging` of the agent runs in it: a Python of Debian has none of its own."""
    found = interpreter._ask(interpreter.own().path)
    assert found
    assert found.version == interpreter.own().version
    assert found.tags
    assert found.environment
    assert found.environment["python_version"] == OWN
    assert interpreter._ask(str(tmp_path / "none")) is None
