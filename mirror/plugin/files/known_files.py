"""What is known of a mirrored file before its download: hashes, also of an earlier download, and size."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mirror.plugin import pinned_hashes
from mirror.plugin.upstream import entries
from mirror.plugin.upstream.page_cache import PageCache
from mirror.plugin.write_queue import WriteQueue


@dataclass(frozen=True)
class Expected:
    """What a file must have; `pinned` is the sha256 of an earlier download."""

    hashes: Mapping[str, str]
    size: int | None = None
    pinned: str | None = None


class KnownFiles:
    """The mirrored files of one devpi-server process."""

    def __init__(self, xom: Any, pages: PageCache, writes: WriteQueue) -> None:
        self._xom = xom
        self._pages = pages
        self._writes = writes

    def expected(self, entry: Any) -> Expected:
        """What `entry` and the page of its project say. Needs a transaction."""
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
