"""Measure, when somebody asks, the disk, the cache's size, the replica's lag, the oldest page."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.core import GaugeMetricFamily

from mirror.last_refresh import LastRefresh
from mirror.plugin.metrics.counters import PREFIX

Family = GaugeMetricFamily
SCAN_EVERY = 600.0  # seconds; a scan of a million files takes some seconds of one processor
REST = 100  # a scan takes at most this part of the time


class Sizes:
    """Bytes in each of several folders, from a scan in the background that seldom runs. Thread-safe."""

    def __init__(self, folders: Mapping[str, Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._folders = folders
        self._clock = clock
        self._lock = threading.Lock()
        self._found: dict[str, int] = {}
        self._next = 0.0

    def found(self) -> Mapping[str, int]:
        """The result of the last scan, empty before it; starts the next one when it is due."""
        with self._lock:
            is_due = self._clock() >= self._next
            if is_due:
                self._next = float("inf")  # until this scan ends
        if is_due:
            threading.Thread(target=self.scan, name="sizes", daemon=True).start()
        return self._found

    def scan(self) -> None:
        """Scan now."""
        began = self._clock()
        try:
            self._found = {name: _size(folder) for name, folder in self._folders.items()}
        finally:
            took = self._clock() - began
            self._next = self._clock() + max(SCAN_EVERY, REST * took)


def _size(folder: Path) -> int:
    """Bytes that the files below `folder` take; what goes away meanwhile has none."""
    total, waiting = 0, [str(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        total += _bytes(entry)
        except OSError:
            continue
    return total


def _bytes(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat(follow_symlinks=False).st_size
    except OSError:
        return 0


class StateCollector:
    """Collector of Prometheus for one devpi-server process."""

    def __init__(
        self,
        xom: Any,
        folder: Path,
        sizes: Sizes,
        confirmed: Callable[[], Iterator[float]],
        refreshed: Callable[[], LastRefresh | None] = lambda: None,
    ) -> None:
        """`confirmed` yields the times (time.time()) at which upstreams confirmed the pages that are here."""
        self._xom = xom
        self._folder = folder
        self._sizes = sizes
        self._confirmed = confirmed
        self._refreshed = refreshed

    def collect(self) -> Iterator[Family]:
        """Called for each GET /+metrics."""
        yield from self._disk()
        yield from self._oldest_page()
        yield from self._last_refresh()
        serial = self._xom.keyfs.get_current_serial()
        yield Family(f"{PREFIX}_serial", "Number of the last change in the database.", serial)
        if self._xom.is_replica():
            yield from self._as_replica(serial)
        else:
            yield from self._as_primary(serial)

    def _disk(self) -> Iterator[Family]:
        usage = shutil.disk_usage(self._folder)
        yield Family(
            f"{PREFIX}_disk_free_bytes", "Free bytes on the disk of the server's folder.", usage.free
        )
        yield Family(f"{PREFIX}_disk_size_bytes", "Size of that disk.", usage.total)
        cache = Family(
            f"{PREFIX}_cache_bytes",
            "Bytes below the server's folder, counted at most every ten minutes.",
            labels=["folder"],
        )
        for name, size in self._sizes.found().items():
            cache.add_metric([name], size)
        yield cache

    def _oldest_page(self) -> Iterator[Family]:
        oldest = min(self._confirmed(), default=None)
        if oldest is not None:
            yield Family(
                f"{PREFIX}_oldest_page_seconds",
                "Seconds since an upstream confirmed the page that was confirmed longest ago, of those that"
                " this process has asked for.",
                max(0.0, time.time() - oldest),
            )

    def _last_refresh(self) -> Iterator[Family]:
        if found := self._refreshed():
            yield Family(
                f"{PREFIX}_last_refresh_timestamp_seconds",
                "When the last `mirror refresh` ended, in seconds since 1970.",
                found.at,
            )
            yield Family(
                f"{PREFIX}_last_refresh_success",
                "1: it looked for all projects that are in use; 0: it failed.",
                0 if found.problem else 1,
            )
            yield Family(
                f"{PREFIX}_last_refresh_new_versions", "Versions that it was the first to see.", found.new
            )
            if found.next is not None:
                yield Family(
                    f"{PREFIX}_next_refresh_timestamp_seconds",
                    "When its timer is to start the next one, in seconds since 1970.",
                    found.next,
                )

    def _as_replica(self, serial: int) -> Iterator[Family]:
        thread = self._xom.replica_thread
        if (primary := thread.get_primary_serial()) is not None:
            yield Family(
                f"{PREFIX}_replica_lag_serials",
                "Changes that this replica has not yet of its primary; on a primary, the worst replica's.",
                max(0, primary - serial),
            )
        if (heard := thread.update_from_primary_at) is not None:
            text = (
                "Since this replica heard of its primary; on a primary, since the most silent replica asked."
            )
            yield Family(f"{PREFIX}_replica_silence_seconds", text, time.time() - heard)

    def _as_primary(self, serial: int) -> Iterator[Family]:
        replicas = list(self._xom.polling_replicas.values())
        yield Family(
            f"{PREFIX}_replicas", "Replicas that have asked since the server started.", len(replicas)
        )
        if not replicas:
            return
        yield Family(
            f"{PREFIX}_replica_lag_serials",
            "Changes that a replica has not yet of its primary; on a primary, the worst replica's.",
            max(0, *(serial - replica["serial"] for replica in replicas)),
        )
        asked = min(time.time() if each["in-request"] else each["last-request"] for each in replicas)
        text = "Since this replica heard of its primary; on a primary, since the most silent replica asked."
        yield Family(f"{PREFIX}_replica_silence_seconds", text, max(0.0, time.time() - asked))
