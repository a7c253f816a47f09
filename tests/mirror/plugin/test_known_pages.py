"""What upstreams said, on disk: whole, or not there."""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mirror.plugin.facts import ProjectFacts
from mirror.plugin.file_facts import FileFacts
from mirror.plugin.known_pages import LONGEST_WRITE, About, Known, KnownPages

ABOUT = About("https://index.example.com/simple/demo/", 1_700_000_000, '"etag"', 7)


def known(*filenames: str, project: str = "demo") -> Known:
    """A page with files of these names."""
    files = [FileFacts(name, f"root/pypi/+f/a/b/{name}", f"https://x/{name}") for name in filenames]
    return Known(ProjectFacts(project, tuple(files), ("1.0",)), ABOUT)


class Rendered:
    """What is told to take rendered pages away."""

    def __init__(self) -> None:
        self.changed: list[list[str]] = []

    @contextmanager
    def changing(self, projects: Iterable[str]) -> Iterator[None]:
        """Around each change."""
        self.changed.append(list(projects))
        yield


@pytest.fixture
def rendered() -> Rendered:
    """Nothing has changed yet."""
    return Rendered()


@pytest.fixture
def pages(tmp_path: Path, rendered: Rendered) -> KnownPages:
    """An empty folder."""
    return KnownPages(tmp_path / "pages", rendered.changing)


def test_what_was_written_is_read_by_this_process_and_by_others(
    pages: KnownPages, tmp_path: Path, rendered: Rendered
) -> None:
    """From memory or from the disk, nobody may see a difference."""
    pages.write("root/pypi", known("demo-1.0.zip"))
    another = KnownPages(tmp_path / "pages", rendered.changing)
    assert pages.read("root/pypi", "demo") == another.read("root/pypi", "demo") == known("demo-1.0.zip")
    another.write("root/pypi", known("demo-2.0.zip"))
    assert pages.read("root/pypi", "demo") == known("demo-2.0.zip")
    assert rendered.changed == [["demo"], ["demo"]]


def test_indexes_and_projects_are_kept_apart(pages: KnownPages) -> None:
    """Whatever characters devpi allows in a name."""
    pages.write("root/pypi", known("demo-1.0.zip"))
    pages.write("root/pypi.test", known("other-1.0.zip", project="other"))
    assert pages.read("root/pypi", "other") is None
    assert (pages.projects("root/pypi"), pages.projects("root/pypi.test")) == (["demo"], ["other"])
    assert pages.projects("root/none") == []
    pages.remove_index("root/pypi")
    assert pages.read("root/pypi", "demo") is None
    assert pages.read("root/pypi.test", "other") is not None


def test_a_page_that_is_forgotten_is_gone_from_memory_too(pages: KnownPages, rendered: Rendered) -> None:
    """And what was rendered of it."""
    pages.write("root/pypi", known("demo-1.0.zip"))
    pages.remove("root/pypi", "demo")
    pages.remove("root/pypi", "demo")
    assert pages.read("root/pypi", "demo") is None
    assert pages.token("root/pypi", "demo") is None
    assert rendered.changed == [["demo"]] * 3


def test_a_token_is_that_of_one_page(pages: KnownPages) -> None:
    """A rendered page is kept only if what it was made from is still stored."""
    pages.write("root/pypi", known("demo-1.0.zip"))
    first = pages.token("root/pypi", "demo")
    assert first == pages.token("root/pypi", "demo")
    pages.write("root/pypi", known("demo-1.0.zip"))
    assert pages.token("root/pypi", "demo") != first


def test_a_page_that_is_damaged_counts_as_not_there(tmp_path: Path, rendered: Rendered) -> None:
    """A power cut may leave any part of it, or zeros: a list that is partial is never served as whole."""
    KnownPages(tmp_path / "pages", rendered.changing).write("root/pypi", known("demo-1.0.zip"))
    (path,) = (tmp_path / "pages").glob("*/*")
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    damaged += [bytes(len(whole)), whole.replace(b"demo-1.0.zip", b"demo-1.1.zip"), whole + b"\n"]
    for content in damaged:
        path.write_bytes(content)
        assert KnownPages(tmp_path / "pages", rendered.changing).read("root/pypi", "demo") is None


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(
    tmp_path: Path, rendered: Rendered
) -> None:
    """Another process of the same folder may be at work."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, age in (("%old", LONGEST_WRITE + 10), ("%new", 0)):
        (folder / name).touch()

        os.utime(folder / name, (time.time() - age,) * 2)
    KnownPages(folder, rendered.changing)
    assert [path.name for path in folder.iterdir()] == ["%new"]
