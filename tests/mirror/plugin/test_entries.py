"""devpi's entries of mirrored files, found without having been written."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from mirror.plugin import entries, file_facts
from mirror.plugin.facts import ProjectFacts
from mirror.plugin.file_facts import FileFacts
from mirror.plugin.known_pages import About, Known, KnownPages

SHA = "ab" * 32
PATH = "root/pypi/+f/aba/bababababab/my_demo-1.0-py3-none-any.whl"
FILE = FileFacts(
    "my_demo-1.0-py3-none-any.whl",
    PATH,
    url="https://files.example.com/my_demo-1.0-py3-none-any.whl",
    hashes={"sha256": SHA},
    core_metadata={"sha256": "cd" * 32},
)


@pytest.fixture
def pages(tmp_path: Path) -> KnownPages:
    """With the page of my-demo on root/pypi, and no other."""
    pages = KnownPages(tmp_path / "pages", lambda _: nullcontext())
    pages.write("root/pypi", Known(ProjectFacts("my-demo", (FILE,)), About("https://x", 0, None, -1)))
    return pages


def test_the_page_tells_what_the_entry_would_say(pages: KnownPages) -> None:
    """URL, hash and project are what a download needs."""
    found = entries.find(pages, PATH)
    assert found is not None
    assert found[1].core_metadata == {"sha256": "cd" * 32}
    assert entries.meta(*found) == {
        "url": FILE.url,
        "hash_spec": f"sha256={SHA}",
        "hashes": {"sha256": SHA},
        "project": "my-demo",
        "version": "1.0",
    }


@pytest.mark.parametrize(
    "path",
    [
        PATH.replace("aba/", "abb/"),  # another hash
        PATH.replace("1.0", "2.0"),
        PATH.replace("root/pypi", "root/other"),
        PATH.replace("/+f/", "/+e/"),
        PATH.replace("my_demo-1.0-py3-none-any.whl", ""),
    ],
)
def test_only_what_the_page_lists_has_an_entry(pages: KnownPages, path: str) -> None:
    """An address that was guessed must not fetch anything."""
    assert entries.find(pages, path) is None


@pytest.mark.parametrize(
    ("project", "filename", "found"),
    [
        ("my-demo", "My.Demo-1.0-py3-none-any.whl", True),
        ("my-demo", "my-demo-1.0.tar.gz", True),
        ("demo", "demo-1.0-py2.7.egg", True),
        ("demo", "demo-1.0.win32-py2.7.exe", True),
        ("demo-1-0-tool", "demo-1.0-tool-2.0.zip", True),  # though it may be version 1.0-tool-2.0 of demo
        ("demo", "demo1.0.tar.gz", False),
        ("demo", "another-1.0.tar.gz", False),
    ],
)
def test_entries_that_the_file_name_does_not_lead_to_are_written(
    project: str,
    filename: str,
    found: bool,  # noqa: FBT001 (a test's parameter)
) -> None:
    """The rare names that are ambiguous must not make a listed file unreachable."""
    row = file_facts.row(FileFacts(filename, f"root/pypi/+f/abc/def/{filename}", "https://x", {}))
    assert entries.can_be_found(project, row) is found


def test_entries_are_written_for_what_cannot_be_found_and_for_what_has_changed() -> None:
    """A file that is here goes on with the URL that its page states now."""
    moved, odd = FILE._replace(url="https://other.example.com/x"), FILE._replace(filename="demo.zip")
    before, now = ProjectFacts("my-demo", (FILE,)), ProjectFacts("my-demo", (moved, odd))
    assert list(entries.to_write(ProjectFacts("my-demo", (FILE,)), ProjectFacts("my-demo"))) == []
    assert list(entries.to_write(before, before)) == []
    assert set(map(str, entries.to_write(now, before))) == set(map(str, (moved, odd)))


@pytest.mark.parametrize("primary", ["http://primary.example.com:3141", "https://example.com/devpi"])
def test_a_replica_keeps_files_where_its_primary_does(primary: str) -> None:
    """Whatever URL the primary answered from in the end, and also when no hash is in the path."""
    file = FILE._replace(path="", url=f"{primary}/root/pypi/+e/files_example_com/my%20demo-1.0.zip")
    (placed,) = entries.placed_by_primary("root/pypi", ProjectFacts("my-demo", (file,))).files
    assert placed.path == "root/pypi/+e/files_example_com/my demo-1.0.zip"
