"""The promises of release.local.changes."""

import subprocess
import threading
from pathlib import Path

import pytest
from watchfiles import Change

from release.local import changes


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("shop.py", True),
        ("templates/a.html", True),
        (".env", True),
        ("Procfile", True),
        (".venv/lib/x.py", False),
        ("env/lib/x.py", False),
        (".git/index", False),
        ("shop/__pycache__/a.pyc", False),
        ("ui/node_modules/a.js", False),
        (".data/db", False),
        ("shop.py~", False),
    ],
)
def test_only_the_projects_own_files_count(name: str, counts: bool) -> None:  # noqa: FBT001
    """Wherever the project lies: below .venv of something else, too."""
    project = Path("/work/.venv/node_modules/shop")
    chosen = changes.ProjectFilter(project, [project / ".data", project / "env"])
    assert chosen(Change.modified, str(project / name)) is counts


def test_what_git_ignores_does_not_count(tmp_path: Path) -> None:
    """An application that writes its log into the project would restart for ever."""
    paths = [str(tmp_path / name) for name in ("a.py", "café.log", "-n.log")]
    assert changes.not_ignored(tmp_path, paths) == ["a.py", "café.log", "-n.log"]
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # noqa: S607
    (tmp_path / ".gitignore").write_text("*.log\n")
    assert changes.not_ignored(tmp_path, paths) == ["a.py"]


def test_a_file_that_is_used_counts_although_git_ignores_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A .env mostly is ignored, and a change of it is what people wait for."""
    subprocess.run(["/usr/bin/git", "init", "-q", str(tmp_path)], check=True)
    (tmp_path / ".gitignore").write_text(".env\nnotes\n")
    there = {(Change.modified, str(tmp_path / name)) for name in (".env", "notes")}
    monkeypatch.setattr("watchfiles.watch", lambda *_, **__: iter([there]))
    reported: list[tuple[str, ...]] = []
    changes.watch(tmp_path, [], [tmp_path / ".env"], reported.append, threading.Event())
    assert reported == [(".env",)]
