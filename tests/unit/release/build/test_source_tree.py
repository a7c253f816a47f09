"""The promises of release.build.source_tree."""

import json
import subprocess
from pathlib import Path

import pytest

from packhorse import process
from packhorse.errors import PackhorseError
from packhorse.process import Finished
from release.build import source_tree
from tests.support.fakes import FakeRunner, a_context

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "init.defaultBranch=main"]


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        [*GIT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    ).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a project in a folder of it."""
    folder = tmp_path / "app"
    folder.mkdir()
    git(tmp_path, "init", "--quiet")
    folder.joinpath("pyproject.toml").write_text('[project]\nname = "app"\n')
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "--message", "one")
    return folder


def test_the_commit_and_its_time_come_from_git(repository: Path) -> None:
    """The manifest says which sources; every file in the artifact gets their time."""
    source = source_tree.commit(repository, process.run)
    assert source.commit == git(repository, "rev-parse", "HEAD")
    assert str(source.epoch) == git(repository, "log", "-1", "--format=%ct")
    assert source.dirty is False


def test_what_builds_leave_behind_and_the_lock_do_not_make_it_dirty(repository: Path) -> None:
    """The first build must not make the second one different."""
    for name in (
        "app.egg-info/PKG-INFO",
        "dist/a.whl",
        "build/lib/a.py",
        "app/__pycache__/a.pyc",
        "pylock.toml",
    ):
        repository.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
        repository.joinpath(name).write_text("left")
    assert source_tree.commit(repository, process.run).dirty is False


@pytest.mark.parametrize("name", ["pyproject.toml", "new.py"])
def test_a_changed_or_a_new_file_makes_it_dirty(repository: Path, name: str) -> None:
    """A new file travels too (MANIFEST.in, package discovery)."""
    repository.joinpath(name).write_text("changed")
    assert source_tree.commit(repository, process.run).dirty is True


def test_a_commit_elsewhere_in_the_repository_changes_nothing(repository: Path) -> None:
    """In a repository of many projects each has its own history: other bytes would be another release."""
    before = source_tree.commit(repository, process.run)
    repository.parent.joinpath("other.txt").write_text("other")
    git(repository.parent, "add", ".")
    git(repository.parent, "commit", "--quiet", "--message", "two")
    assert source_tree.commit(repository, process.run) == before


def test_outside_a_repository_there_is_no_commit_and_a_fixed_time(tmp_path: Path) -> None:
    """An unpacked sdist can be built, too, and twice the same."""
    assert source_tree.commit(tmp_path, process.run) == source_tree.Commit(None, None, source_tree.LONG_AGO)


def test_a_repository_without_a_commit_is_like_none(tmp_path: Path) -> None:
    """The first try of a newcomer, right after `git init`."""
    git(tmp_path, "init", "--quiet")
    assert source_tree.commit(tmp_path, process.run).commit is None


def test_without_git_there_is_no_commit(tmp_path: Path) -> None:
    """git is not needed to build."""

    def absent(_: list[str]) -> Finished:
        raise FileNotFoundError

    assert source_tree.commit(tmp_path, FakeRunner(absent)).commit is None


def test_a_git_that_refuses_is_not_taken_for_no_repository(tmp_path: Path) -> None:
    """A folder of another user ("dubious ownership") would silently lose its commit."""
    refusing = FakeRunner(lambda _: Finished(128, "", "fatal: detected dubious ownership"))
    with pytest.raises(PackhorseError) as caught:
        source_tree.commit(tmp_path, refusing)
    assert "dubious ownership" in caught.value.detail


def test_a_folder_without_pyproject_is_refused(tmp_path: Path) -> None:
    """The first error of everyone: the wrong folder."""
    with pytest.raises(PackhorseError, match=r"there is no pyproject\.toml"):
        source_tree.pyproject(tmp_path)


def test_static_dependencies_are_read_and_nothing_is_run(repository: Path, tmp_path: Path) -> None:
    """The common case costs no time."""
    repository.joinpath("pyproject.toml").write_text(
        '[project]\nname = "app"\ndependencies = ["flask"]\nrequires-python = ">=3.11"\n'
    )
    run = FakeRunner()
    wanted = source_tree.lock_inputs(repository, a_context(tmp_path, run=run))
    assert wanted == source_tree.LockInputs(("flask",), ">=3.11")
    assert run.commands == []


@pytest.mark.parametrize("text", ['[project]\nname = "a"\ndynamic = ["dependencies"]\n', "[build-system]\n"])
def test_dynamic_dependencies_come_from_the_backend(text: str, repository: Path, tmp_path: Path) -> None:
    """Any PEP 517 project: setup.cfg, setup.py, plugins that read a requirements file."""
    repository.joinpath("pyproject.toml").write_text(text)
    said = json.dumps({"name": "a", "requires_dist": ["flask"], "requires_python": ">=3.12"})
    wanted = source_tree.lock_inputs(
        repository, a_context(tmp_path, run=FakeRunner(lambda _: Finished(0, said, "")))
    )
    assert wanted == source_tree.LockInputs(("flask",), ">=3.12")


def test_a_backend_that_fails_is_shown_with_its_words(repository: Path, tmp_path: Path) -> None:
    """Only its own output tells the cause."""
    repository.joinpath("pyproject.toml").write_text("[build-system]\n")
    broken = FakeRunner(lambda _: Finished(1, "", "ModuleNotFoundError: nope"))
    with pytest.raises(PackhorseError, match="build backend") as caught:
        source_tree.lock_inputs(repository, a_context(tmp_path, run=broken))
    assert "ModuleNotFoundError: nope" in caught.value.detail


@pytest.mark.parametrize(("needed", "refused"), [("Isso>=0.13", True), ("isso[db]", False), ("issoo", False)])
def test_a_project_with_the_name_of_a_package_that_it_needs_is_refused(
    needed: str,
    refused: bool,  # noqa: FBT001
    tmp_path: Path,
) -> None:
    """Its first upload hid that package from everybody who asks the index."""
    (tmp_path / "pyproject.toml").write_text(f'[project]\nname = "isso"\ndependencies = ["{needed}"]\n')
    if refused:
        with pytest.raises(PackhorseError, match="has the name of a package that it needs: Isso"):
            source_tree.lock_inputs(tmp_path, a_context(tmp_path))
    else:
        assert source_tree.lock_inputs(tmp_path, a_context(tmp_path)).dependencies == (needed,)
