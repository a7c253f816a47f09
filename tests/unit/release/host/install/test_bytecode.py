"""The promises of release.host.install.bytecode."""

import os
import py_compile
from pathlib import Path

from release.host.install import bytecode


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
