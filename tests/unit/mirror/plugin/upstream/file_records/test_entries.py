"""devpi's entries of mirrored files, found without having been written."""

from contextlib import nullcontext
from pathlib import Path

import pytest

from mirror.plugin.simple.detail import ProjectDetail
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upstream.file_records import entries
from mirror.plugin.upstream.page_cache import CachedPage, PageCache, PageInfo, encode

SHA = "ab" * 32
PATH = "root/pypi/+f/aba/bababababab/my_demo-1.0-py3-none-any.whl"
FILE = ProjectFile(
    "my_demo-1.0-py3-none-any.whl",
    PATH,
    url="https://files.example.com/my_demo-1.0-py3-none-any.whl",
    hashes={"sha256": SHA},
    core_metadata={"sha256": "cd" * 32},
)


@pytest.fixture
def pages(tmp_path: Path) -> PageCache:
    """With the page of my-demo on root/pypi, and no other."""
    pages = PageCache(tmp_path / "pages", lambda _: nullcontext())
    known = CachedPage(ProjectDetail("my-demo", (FILE,)), PageInfo("https://x", 0, None, -1))
    pages.write("root/pypi", known, encode(known))
    return pages


def test_the_page_tells_what_the_entry_would_say(pages: PageCache) -> None:
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
def test_only_what_the_page_lists_has_an_entry(pages: PageCache, path: str) -> None:
    """An address that was guessed must not fetch anything."""
    assert entries.find(pages, path) is None
