"""Requirements as pip, uv and people write them."""

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
        ("-r requirements.txt\n", "lead to each other"),
        ("demo==1 ; nonsense == '3'\n", "requirements.txt:1: "),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, text: str, words: str) -> None:
    """With the number of the line."""
    (tmp_path / "requirements.txt").write_text(text)
    with pytest.raises(PackhorseError) as caught:
        read(tmp_path, text)
    assert words in caught.value.message
