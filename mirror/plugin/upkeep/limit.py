"""Keep the cached files below the limits of mirror.toml, in the background."""

import threading
import time
from dataclasses import dataclass
from math import inf
from typing import Any

from devpi_server.log import threadlog

from mirror.plugin.audit import events, requests
from mirror.plugin.files import last_use
from mirror.plugin.upkeep import selection
from mirror.plugin.upkeep.cached_files import CachedFiles
from mirror.plugin.upkeep.removal import Removal
from mirror.plugin.upkeep.selection import CachedFile, Rules
from mirror.plugin.write_queue import WriteQueue

HIGH, LOW = 0.95, 0.85  # of the limit: it begins above the first mark, and ends below the second
PERIOD = 3600  # seconds after which it looks at the disk again
AT_ONCE = 20  # files; who stores one waits for as long as these take


@dataclass(frozen=True)
class Limits:
    """[prune] of mirror.toml."""

    most: int | None = None  # bytes of all cached files
    unused_for: float | None = None  # seconds
    keep_last: int = 0


def limits_of(arguments: Any) -> Limits:
    """The limits in the command line of devpi-server; none offline, where nothing can be had again."""
    if arguments.offline_mode:
        return Limits()
    return Limits(arguments.prune_max_size, arguments.prune_unused_for, arguments.prune_keep_last)


class Limit:
    """Removes what is beyond the limits; a thread of its own waits for downloads and for time to pass."""

    def __init__(
        self, limits: Limits, keyfs: Any, cached: CachedFiles, removal: Removal, writes: WriteQueue
    ) -> None:
        self._limits = limits
        self._keyfs = keyfs
        self._cached = cached
        self._removal = removal
        self._writes = writes
        self._taken = 0
        self._mark = inf if limits.most is None else HIGH * limits.most
        self._grown = threading.Event()

    def start(self) -> None:
        """Start the thread, if there is a limit."""
        if self._limits != Limits():
            if not last_use.is_kept(self._cached.root):
                threadlog.warn("%s does not note when files are read: see docs/upkeep.md", self._cached.root)
            threading.Thread(target=self._run, name="prune", daemon=True).start()

    def stored(self, size: int) -> None:
        """Count a file that was stored."""
        self._taken += size  # two threads at once may lose one: the next look at the disk finds it
        if self._taken > self._mark:
            self._grown.set()

    def _run(self) -> None:
        while True:
            self._grown.clear()
            try:
                self.prune()
            except Exception:  # noqa: BLE001 (there must be a next round, which may do better)
                threadlog.exception("what is beyond the limits of cached files stays for now")
            self._grown.wait(PERIOD)

    def prune(self) -> None:
        """Remove what is beyond the limits now, in pieces: who stores a file waits for one of them."""
        with self._keyfs.read_transaction():
            self._taken = self._cached.size()
            most, unused_for = self._limits.most, self._limits.unused_for
            is_over = most is not None and self._taken > HIGH * most
            if not is_over and unused_for is None:
                return
            rules = Rules(
                keep_last=self._limits.keep_last,
                unused_since=None if unused_for is None else time.time() - unused_for,
                most=int(LOW * most) if most is not None and is_over else None,
            )
            chosen = selection.to_remove(self._cached.all(), rules)
        gone: list[CachedFile] = []
        for start in range(0, len(chosen) + AT_ONCE, AT_ONCE):  # the last piece is empty
            piece = chosen[start : start + AT_ONCE]
            self._writes.do(lambda piece=piece: gone.extend(self._removal.remove(piece)))  # type: ignore[misc]
        freed = sum(each.size for each in gone)
        self._taken -= freed
        if gone:
            events.record("prune", "ok", **requests.of_files([each.path for each in gone]))
            threadlog.info(
                "pruned %s cached files of %.1f MB, %.1f MB stay", len(gone), freed / 1e6, self._taken / 1e6
            )
        if most is not None:
            # What `keep_last` holds may be too much: then not each download is to try again.
            self._mark = max(HIGH * most, self._taken + (HIGH - LOW) * most)
            if self._taken > most:
                threadlog.warn("%.1f MB of cached files stay, more than max_size", self._taken / 1e6)
