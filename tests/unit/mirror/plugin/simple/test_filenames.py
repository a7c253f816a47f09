"""Which names count as a project's, and what the name of a file tells."""

import pytest

from mirror.plugin.simple import filenames


@pytest.mark.parametrize(
    ("filename", "projects"),
    [
        ("a_b-1.0-py3-none-any.whl", ["a-b"]),
        ("a-1-1.0-py3-none-any.whl", ["a"]),
        ("a.b-1.0.tar.gz", ["a-b"]),
        ("a-b-1.0.tar.gz", ["a-b"]),
        ("a-1-1.0.zip", ["a-1", "a"]),
        ("a-v2.tar.bz2", ["a"]),
        ("a-2010.1-py2.7.egg", ["a"]),
        ("a-1.0-1.noarch.rpm", ["a-1-0", "a"]),
        ("a-1.0.win32-py2.7.exe", ["a"]),
        ("a-dev.tar.gz", ["a"]),
        ("a-1-2-3-4-5.tar.gz", ["a-1-2-3-4", "a-1-2-3", "a-1-2"]),
        ("a.tar.gz", []),
        ("-1.0.tar.gz", []),
        ("..-1.0.tar.gz", []),
        ("a\0b-1.0.tar.gz", []),
        ("ä-1.0.tar.gz", []),
        (f"{'a' * 250}-1.0.tar.gz", []),
    ],
)
def test_a_file_tells_the_few_projects_it_may_be_of(filename: str, projects: list[str]) -> None:
    """Each is a question to the upstream, which strangers may set off."""
    assert list(filenames.projects_of(filename)) == projects


@pytest.mark.parametrize(
    ("name", "may_be"),
    [("a", True), ("a-1", True), ("a" * 255, True), ("a" * 256, False), ("-", False), ("a-", False)],
)
def test_a_name_that_no_project_can_have_is_told(name: str, may_be: bool) -> None:  # noqa: FBT001 (parametrised)
    """It would be part of an address of the upstream, and the name of a file here."""
    assert filenames.is_project(name) == may_be
