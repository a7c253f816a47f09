"""Cached files are found and removed below the folders of caching indexes, and nothing else is."""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mirror.plugin.evidence.provenance_objects import ProvenanceObjects
from mirror.plugin.metadata.store import MetadataStore
from mirror.plugin.upkeep.cached_files import CachedFiles
from mirror.plugin.upkeep.removal import Removal
from mirror.plugin.upstream.page_cache import PageCache


class _Cached(CachedFiles):
    """Those of one index; devpi has no record of a file, and a record of its index."""

    def __init__(self, folder: Path) -> None:
        self.pages = PageCache(folder / "pages", lambda _: nullcontext())
        xom = SimpleNamespace(filestore=SimpleNamespace(get_file_entry=self._record))
        super().__init__(xom, self.pages, folder)

    @staticmethod
    def _record(path: str) -> Any:  # noqa: ANN401 (devpi's)
        assert path != "root/pypi/.config"

    def indexes(self) -> list[str]:
        return ["root/pypi"]


@pytest.fixture
def cached(tmp_path: Path) -> _Cached:
    return _Cached(tmp_path)


def _store(cached: CachedFiles, path: str) -> Path:
    stored = cached.root / path
    stored.parent.mkdir(parents=True, exist_ok=True)
    stored.write_bytes(b"x")
    return stored


def _found(cached: CachedFiles, paths: Sequence[str]) -> list[str]:
    return [each.path for each in cached.find(paths)]


@pytest.mark.parametrize(
    "path",
    [
        "root/pypi/+f/abc/0123456789abc/demo-1.0.zip",
        "root/pypi/+e/https_example.com/demo-1.0.zip",
        "root/pypi/stray.txt",
        "root/pypi/+f/abc/stray",
        "root/pypi/.config",  # also the name of devpi's record of the index
    ],
)
def test_every_file_below_a_cache_can_be_removed(cached: _Cached, tmp_path: Path, path: str) -> None:
    stored = _store(cached, path)
    assert [each.path for each in cached.all()] == _found(cached, [path]) == [path]
    metadata, provenance = MetadataStore(tmp_path / "metadata"), ProvenanceObjects(tmp_path / "provenance")
    Removal(cached, metadata, provenance, cached.pages).remove(cached.find([path]))
    assert not stored.exists()


def test_files_elsewhere_and_folders_are_none_of_a_cache(cached: _Cached) -> None:
    _store(cached, "root/pypi/+f/abc/0123456789abc/demo-1.0.zip")
    _store(cached, "company/dev/+f/abc/0123456789abc/own-1.0.zip")
    assert not _found(
        cached,
        [
            "company/dev/+f/abc/0123456789abc/own-1.0.zip",
            "root/pypi/../../company/dev/+f/abc/0123456789abc/own-1.0.zip",
            "root/pypi//+f/abc/0123456789abc/demo-1.0.zip",
            "root/pypi/+f/./abc/0123456789abc/demo-1.0.zip",
            "root/pypi/+f/abc/0123456789abc",
            "root/pypi",
            "",
        ],
    )
