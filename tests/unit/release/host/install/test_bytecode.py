"""The promises of release.host.install.bytecode."""

import os
import py_compile
from pathlib import Path

import pytest

from release.host.install import bytecode, interpreter
from tests.support.release_folders import a_session


def a_venv(folder: Path, name: str) -> Path:
    site = folder / name / "lib" / "python3.11" / "site-packages" / "dep"
    site.mkdir(parents=True)
    return site


def test_only_the_same_files_share_what_was_compiled(tmp_path: Path) -> None:
    """Compiled code of another source with the same size and time would be run without a word."""
    old, new = a_venv(tmp_path, "old"), a_venv(tmp_path, "new")
    for name in ("same.py", "other.py", "gone.py"):
        old.joinpath(name).write_text("x = 1\n")
        py_compile.compile(str(old / name))
    os.link(old / "same.py", new / "same.py")
    new.joinpath("other.py").write_text("x = 2\n")
    assert bytecode.share(tmp_path / "old", tmp_path / "new") == 1
    assert [path.name.partition(".")[0] for path in new.rglob("*.pyc")] == ["same"]
    assert bytecode.share(tmp_path / "old", tmp_path / "new") == 0


@pytest.mark.parametrize("count", [3, bytecode.FEW + 1])
def test_what_is_not_compiled_is_compiled_and_nothing_of_it_runs(tmp_path: Path, count: int) -> None:
    """Processes may not write into their release; a file for another Python stops nothing."""
    lib = tmp_path / "venv" / "lib"
    lib.mkdir(parents=True)
    for number in range(count):
        (lib / f"m{number}.py").write_text(f"raise SystemExit({number})\n")
    (lib / "old.py").write_text("print 'python 2'\n")
    (lib / "evil.pth").write_text("import os; os.abort()\n")
    bytecode.compile_rest(tmp_path / "venv", tmp_path / "sources.txt", interpreter.own(), a_session())
    compiled = {path.name.partition(".")[0] for path in lib.rglob("*.pyc")}
    assert compiled == {f"m{number}" for number in range(count)}
