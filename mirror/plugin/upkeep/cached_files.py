"""List the files of upstreams that are stored here: what they are, and when they were used last."""

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mirror.plugin.files import last_use
from mirror.plugin.simple import filenames
from mirror.plugin.simple.file_rows import ProjectFile
from mirror.plugin.upkeep.selection import CachedFile
from mirror.plugin.upstream.file_records import entries
from mirror.plugin.upstream.mirror_stage import CachingStage
from mirror.plugin.upstream.page_cache import PageCache

# Paths of files that devpi has records of: "root/pypi/+f/abc/0123456789abc/demo-1.0.zip",
# "root/pypi/+e/https_example.com/demo-1.0.zip". Others may be names of its other records.
_RECORDED = re.compile(r"[^/]+/[^/]+/\+(?:f/[^/]+|e)/[^/]+/[^/]+")


class CachedFiles:
    """The cached files of one devpi-server."""

    def __init__(self, xom: Any, pages: PageCache, folder: Path) -> None:
        self._xom = xom
        self._pages = pages
        self.root = folder / "+files"

    def indexes(self) -> list[str]:
        """The indexes that cache an upstream. Needs a transaction."""
        stages = (stage for user in self._xom.model.get_userlist() for stage in user.getstages())
        return [stage.name for stage in stages if isinstance(stage, CachingStage)]

    def size(self) -> int:
        """The bytes of all cached files. Needs a transaction."""
        total = 0
        for path in self._paths():
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile
                total += path.stat().st_size
        return total

    def all(self) -> list[CachedFile]:
        """All cached files. Needs a transaction."""
        found = (self._look(str(path.relative_to(self.root))) for path in self._paths())
        return [each for each in found if each]

    def find(self, paths: Iterable[str]) -> list[CachedFile]:
        """The files at `paths` below the folders of these indexes, as far as there are any.

        Needs a transaction. What devpi knows nothing of is found, too: it takes room.
        """
        indexes = set(self.indexes())
        asked = [path for path in paths if _is_plain(path) and _index(path) in indexes]
        return [file for file in map(self._look, asked) if file]

    def entry(self, path: str) -> Any:
        """devpi's FileEntry of the file at `path`, None when it cannot have one. Needs a transaction."""
        return self._xom.filestore.get_file_entry(path) if _RECORDED.fullmatch(path) else None

    def _paths(self) -> Iterator[Path]:
        for index in self.indexes():
            for parent, _, names in os.walk(self.root / index):
                # devpi is about to rename what ends so (filestore_fs_base.py, tmpsuffix_for_path).
                yield from (Path(parent, name) for name in names if not name.endswith("-tmp"))

    def _look(self, path: str) -> CachedFile | None:
        try:
            found = (self.root / path).stat()
        except OSError:  # it has been removed meanwhile, or the disk fails
            return None
        if stat.S_ISDIR(found.st_mode):
            return None
        project, row = entries.find(self._pages, path) or self._find_slowly(path)
        return CachedFile(
            path=path,
            project=project,
            version=filenames.version_of(path.rpartition("/")[2]) or "",
            size=found.st_size,
            used=last_use.of(found),
            links=found.st_nlink,
            # Of a project whose page is not here, nobody knows what the upstream lists.
            listed=row is not None or self._pages.token(_index(path), project) is None,
            yanked=row is not None and row.yanked is not False,
        )

    def _find_slowly(self, path: str) -> tuple[str, ProjectFile | None]:
        """The project of a file whose path does not tell it, as devpi has written it or its name says."""
        entry = self.entry(path)
        filename = path.rpartition("/")[2]
        written = entry.project if entry is not None and entry.meta else None
        project = str(written or next(iter(filenames.projects_of(filename)), filename))
        page = self._pages.read(_index(path), project)
        return project, next(
            (file for file in page.detail.files if file.path == path), None
        ) if page else None


def _index(path: str) -> str:
    """The index of a file, "root/pypi" of "root/pypi/+f/abc/0123456789abc/demo-1.0.zip"."""
    return "/".join(path.split("/")[:2])


def _is_plain(path: str) -> bool:
    """Whether `path` leads nowhere but down, and is written in one way only, as devpi's records are."""
    return ".." not in path.split("/") and str(PurePosixPath(path)) == path
