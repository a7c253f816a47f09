"""What upstreams said, on disk: whole, or not there."""

import gzip
import os
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.page_cache import (
    LONGEST_WRITE,
    CachedPage,
    PageCache,
    PageInfo,
    encode,
)

ABOUT = PageInfo("https://index.example.com/simple/demo/", 1_700_000_000, '"etag"', 7)


def known(*filenames: str, project: str = "demo") -> CachedPage:
    """A page with files of these names."""
    files = [ProjectFile(name, f"root/pypi/+f/a/b/{name}", f"https://x/{name}") for name in filenames]
    return CachedPage(ProjectDetail(project, tuple(files), ("1.0",)), ABOUT)


def write(pages: PageCache, index: str, page: CachedPage) -> None:
    """Store a page."""
    pages.write(index, page, encode(page))


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
def pages(tmp_path: Path, rendered: Rendered) -> PageCache:
    """An empty folder."""
    return PageCache(tmp_path / "pages", rendered.changing)


def test_what_was_written_is_read_by_this_process_and_by_others(
    pages: PageCache, tmp_path: Path, rendered: Rendered
) -> None:
    """From memory or from the disk, nobody may see a difference."""
    write(pages, "root/pypi", known("demo-1.0.zip"))
    another = PageCache(tmp_path / "pages", rendered.changing)
    assert pages.read("root/pypi", "demo") == another.read("root/pypi", "demo") == known("demo-1.0.zip")
    write(another, "root/pypi", known("demo-2.0.zip"))
    assert pages.read("root/pypi", "demo") == known("demo-2.0.zip")
    assert rendered.changed == [["demo"], ["demo"]]


def test_indexes_and_projects_are_kept_apart(pages: PageCache) -> None:
    """Whatever characters devpi allows in a name."""
    write(pages, "root/pypi", known("demo-1.0.zip"))
    write(pages, "root/pypi.test", known("other-1.0.zip", project="other"))
    assert pages.read("root/pypi", "other") is None
    assert (pages.projects("root/pypi"), pages.projects("root/pypi.test")) == (["demo"], ["other"])
    assert pages.projects("root/none") == []
    pages.remove_index("root/pypi")
    assert pages.read("root/pypi", "demo") is None
    assert pages.read("root/pypi.test", "other") is not None


def test_a_page_that_is_forgotten_is_gone_from_memory_too(pages: PageCache, rendered: Rendered) -> None:
    """And what was rendered of it."""
    write(pages, "root/pypi", known("demo-1.0.zip"))
    pages.remove("root/pypi", "demo")
    pages.remove("root/pypi", "demo")
    assert pages.read("root/pypi", "demo") is None
    assert pages.token("root/pypi", "demo") is None
    assert rendered.changed == [["demo"]] * 3


def test_one_file_is_forgotten_and_the_next_question_is_unconditional(pages: PageCache) -> None:
    """Without the ETag the upstream says all again; a page without any file would say that there are none."""
    write(pages, "root/pypi", known("demo-1.0.zip", "d\u00e9mo-1.0.zip"))
    pages.forget_file("root/pypi", "demo", "d\u00e9mo-1.0.zip")
    kept = pages.read("root/pypi", "demo")
    assert kept is not None
    assert kept.detail == known("demo-1.0.zip").detail
    assert kept.about == replace(ABOUT, etag=None)
    pages.forget_file("root/pypi", "demo", "demo-1.0.zip")
    assert pages.read("root/pypi", "demo") is None
    pages.forget_file("root/pypi", "demo", "demo-1.0.zip")


def test_a_token_is_that_of_one_page(pages: PageCache) -> None:
    """A rendered page is kept only if what it was made from is still stored."""
    write(pages, "root/pypi", known("demo-1.0.zip"))
    first = pages.token("root/pypi", "demo")
    assert first == pages.token("root/pypi", "demo")
    write(pages, "root/pypi", known("demo-1.0.zip"))
    assert pages.token("root/pypi", "demo") != first


def test_a_page_that_is_damaged_counts_as_not_there(tmp_path: Path, rendered: Rendered) -> None:
    """A power cut may leave any part of it, or zeros: a list that is partial is never served as whole."""
    write(PageCache(tmp_path / "pages", rendered.changing), "root/pypi", known("demo-1.0.zip"))
    (path,) = (tmp_path / "pages").glob("*/*")
    whole = path.read_bytes()
    damaged = [whole[:length] for length in range(len(whole))]
    middle = len(whole) // 2
    damaged += [bytes(len(whole)), whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]]
    damaged += [whole[:middle] + bytes(len(whole) - middle)]
    for content in damaged:
        path.write_bytes(content)
        again = PageCache(tmp_path / "pages", rendered.changing)
        assert again.read("root/pypi", "demo") is None
        assert again.find("demo", "root/pypi/+f/a/b/demo-1.0.zip") is None


def test_a_file_is_found_on_its_page_and_no_other(pages: PageCache) -> None:
    """Also after another page has come in its place."""
    path = "root/pypi/+f/abc/0123456789abc/demo-1.0.zip"
    file = ProjectFile("demo-1.0.zip", path, "https://x/1", {"sha256": "abc0123456789abc"})
    page = CachedPage(ProjectDetail("demo", (file,)), ABOUT)
    write(pages, "root/pypi", page)
    assert pages.find("demo", path) == pages.find("demo", path) == file
    assert pages.find("other", path) is None
    assert pages.find("demo", path.replace("1.0", "2.0")) is None
    moved = file._replace(url="https://x/2")
    write(pages, "root/pypi", CachedPage(ProjectDetail("demo", (moved,)), ABOUT))
    assert pages.find("demo", path) == moved
    pages.remove("root/pypi", "demo")
    assert pages.find("demo", path) is None


def test_what_an_earlier_version_stored_is_read(pages: PageCache, tmp_path: Path) -> None:
    """A mirror without a network, or a backup, has nothing else."""
    write(pages, "root/pypi", known("demo-1.0.zip"))
    (path,) = (tmp_path / "pages").glob("*/*")
    text = gzip.decompress(path.read_bytes())
    path.write_bytes(b"%d %d\n%b" % (len(text), zlib.crc32(text), text))
    assert pages.read("root/pypi", "demo") == known("demo-1.0.zip")
    path.write_bytes(b"%d %d\n%b" % (len(text), zlib.crc32(text), text.replace(b"1.0", b"1.1")))
    assert pages.read("root/pypi", "demo") is None


def test_what_a_killed_process_left_is_removed_and_what_is_being_written_stays(
    tmp_path: Path, rendered: Rendered
) -> None:
    """Another process of the same folder may be at work."""
    folder = tmp_path / "pages"
    folder.mkdir()
    for name, age in (("%old", LONGEST_WRITE + 10), ("%new", 0)):
        (folder / name).touch()

        os.utime(folder / name, (time.time() - age,) * 2)
    PageCache(folder, rendered.changing)
    assert [path.name for path in folder.iterdir()] == ["%new"]
