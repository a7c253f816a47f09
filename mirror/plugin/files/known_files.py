"""Hashes, also of an earlier download, and size that a mirrored file must have, before it is downloaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror.plugin import pinned_hashes
from mirror.plugin.upstream.file_records import entries
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.write_queue import WriteQueue

LARGEST = 10 * 1024**3
"""Bytes of a file whose page states no size."""


@dataclass(frozen=True)
class Expected:
    """Hashes and size of a file; `pinned` is the sha256 of an earlier download."""

    hashes: Mapping[str, str]
    size: int | None = None
    pinned: str | None = None

    @property
    def most(self) -> int:
        """Bytes after which a download is broken off: an upstream may send without end."""
        return LARGEST if self.size is None else self.size


class KnownFiles:
    """The mirrored files of one devpi-server process."""

    def __init__(self, xom: Any, pages: PageCache, writes: WriteQueue) -> None:
        self._xom = xom
        self._pages = pages
        self._writes = writes

    def expected(self, entry: Any) -> Expected:
        """Hashes and size by `entry` and the page of its project. Needs a transaction."""
        _, file = entries.find(self._pages, str(entry.relpath)) or ("", None)
        index, project = f"{entry.user}/{entry.index}", entry.project
        pins = pinned_hashes.pinned(self._xom.keyfs, index, project) if project else {}
        pinned = pins.get(entry.basename)
        hashes = {**entry.hashes, **({"sha256": pinned} if pinned else {})}
        return Expected(hashes, file.size if file else None, pinned)

    def report(self, entry: Any, expected: Expected, found: str) -> None:
        """Report that the upstream sends other bytes than before."""
        if expected.pinned in {None, found} or self._xom.is_replica():
            return
        path = f"{entry.user}/{entry.index}/{entry.project}/{entry.basename}"
        kept, refused = f"sha256={expected.pinned}", f"sha256={found}"
        self._writes.do(lambda: pinned_hashes.report(self._xom.keyfs, path, kept=kept, refused=refused))
