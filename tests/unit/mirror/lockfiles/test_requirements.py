"""Requirements as pip, uv and people write them."""

import os
from pathlib import Path

import pytest

from mirror.lockfiles import environments, requirements
from mirror.lockfiles.lock import Lock, Pin, Requirement
from packhorse.errors import PackhorseError

A, B = "a" * 64, "b" * 64
ENVIRONMENTS = environments.wanted(["3.12"], ["linux-x86_64"])


def read(tmp_path: Path, text: str) -> Lock:
    """What a requirements.txt says."""
    return requirements.read(tmp_path / "requirements.txt", text, ENVIRONMENTS)


def test_pins_are_read_with_hashes_markers_continuations_and_options(tmp_path: Path) -> None:
    """As `uv pip compile --generate-hashes` and people write them."""
    (tmp_path / "more.txt").write_text("other===2.0\n")
    text = f"""\
# a comment
--index-url https://example.com/simple/
-r more.txt
Demo.Name[extra]==1.0 ; python_version >= "3" \\
    --hash=sha256:{A} \\
    --hash=sha256:{B.upper()}
    # via something
windows==1 ; sys_platform == "win32"
demo-name == 1.0  # the same again, without hashes

plain==3.0+local --config-settings "x=y"
"""
    hashes = frozenset({("sha256", A), ("sha256", B)})
    marker = 'python_version >= "3"'
    assert read(tmp_path, text).pins == (
        Pin("other", "2.0"),
        Pin("demo-name", "1.0", hashes=hashes, extras=("extra",), marker=marker),
        Pin("demo-name", "1.0"),
        Pin("plain", "3.0+local"),
    )


@pytest.mark.parametrize("line", ["demo", "demo>=1", "demo==1.*", "demo[extra]~=1.2", "demo==1,==2"])
def test_what_has_no_one_version_is_left_to_be_resolved(tmp_path: Path, line: str) -> None:
    """With the constraints that the file names."""
    (tmp_path / "bounds.txt").write_text("other<3\npinned==1\n")
    found = read(tmp_path, f"{line}\n-c bounds.txt\n").requirements
    assert not found[0].constraint
    assert found[1:] == (Requirement("pinned==1", constraint=True), Requirement("other<3", constraint=True))


@pytest.mark.parametrize(
    ("line", "project", "local"),
    [
        ("demo @ https://example.com/demo.whl", "demo", False),
        ("demo @ git+https://example.com/demo.git@main", "demo", False),
        ("git+https://example.com/demo.git#egg=demo", "demo", False),
        ("-e git+https://example.com/demo.git#egg=demo", "demo", False),
        ("https://example.com/demo-1.0-py3-none-any.whl", "demo-1.0-py3-none-any.whl", False),
        ("-e .", ".", True),
        ("--editable ./folder", "folder", True),
        ("./folder ; python_version > '3'", "folder", True),
        ("../demo-1.0.tar.gz", "demo-1.0.tar.gz", True),
        ("file:///srv/demo", "demo", True),
        ("demo @ file:///srv/demo", "demo", True),
    ],
)
def test_what_no_index_has_is_told(tmp_path: Path, line: str, project: str, *, local: bool) -> None:
    """A silently skipped line would be missing on the day that it is needed."""
    (found,) = read(tmp_path, line).elsewhere
    assert (found.project, found.local) == (project, local)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ok==1\n=demo\n", "requirements.txt:2: "),
        ("-r missing.txt\n", "missing.txt: No such file"),
        ("-r /etc/passwd\n", "passwd is no .txt"),
        ("-r ../outside.txt\n", "outside.txt is no .txt"),
        ("-c secret\n", "secret is no .txt"),
        ("-r link.txt\n", "link.txt is no .txt"),
        ("-r pipe.txt\n", "is no regular file"),
        ("-r folder.txt\n", "folder.txt"),
        ("-r loop.txt\n", "loop.txt"),
        ("demo==1 ; nonsense == '3'\n", "requirements.txt:1: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, text: str, words: str) -> None:
    """With the number of the line. Of other files, only those of the project are read: a lock may be a
    stranger's, and each line becomes a name that upstreams are asked for.
    """
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "outside.txt").write_text("confidential\n")
    (folder / "secret").write_text("confidential\n")
    (folder / "link.txt").symlink_to(folder / "secret")
    (folder / "loop.txt").symlink_to(folder / "loop.txt")
    os.mkfifo(folder / "pipe.txt")
    (folder / "folder.txt").mkdir()
    (folder / "requirements.txt").write_text(text)
    with pytest.raises(PackhorseError) as caught:
        read(folder, text)
    assert words in caught.value.message
    assert caught.value.hint


def test_a_project_in_a_git_repository_names_all_files_of_it(tmp_path: Path) -> None:
    """`requirements/dev.txt` has `-r ../base.txt`, and both are below one `constraints.txt`."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "app" / "requirements").mkdir(parents=True)
    (tmp_path / "app" / "base.txt").write_text("-c ../constraints.txt\ndemo==1\n")
    (tmp_path / "constraints.txt").write_text("other<3\n")
    found = read(tmp_path / "app" / "requirements", "-r ../base.txt\n")
    assert found.pins == (Pin("demo", "1"),)
    assert found.requirements == (Requirement("other<3", constraint=True),)


def test_lines_of_other_files_are_not_quoted(tmp_path: Path) -> None:
    """The file that is named is not always what it seems to be."""
    (tmp_path / "notes.txt").write_text("demo==1\npass word: hunter2\n")
    with pytest.raises(PackhorseError, match=r"notes\.txt:2: this is no requirement$"):
        read(tmp_path, "-r notes.txt\n")


def test_each_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty files, each naming the next one twice, would be read half a million times; some lead back."""
    monkeypatch.setattr(requirements, "_LARGEST", 5000)
    for number in range(40):
        (tmp_path / f"{number}.txt").write_text(f"-r {number + 1}.txt\n" * 3 + "-c 0.txt\n")
    (tmp_path / "40.txt").write_text("demo==1\n-r 0.txt\n")
    found = read(tmp_path, "-r 0.txt\n")
    assert found.pins == (Pin("demo", "1"),)
    assert found.requirements == (Requirement("demo==1", constraint=True),)


def test_all_files_together_have_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small ones, too, may be many."""
    monkeypatch.setattr(requirements, "_LARGEST", 100)
    for number in range(3):
        (tmp_path / f"{number}.txt").write_text("#" * 40)
    with pytest.raises(PackhorseError, match="more than"):
        read(tmp_path, "-r 0.txt\n-r 1.txt\n-r 2.txt\n")
