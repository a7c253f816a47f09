"""The way of versions: which one is on each index and each host of all targets, and what is ahead of what."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from release import index


@dataclass(frozen=True)
class IndexCell:
    """The newest version on the index `url` itself, None: it has none; or why nobody knows: `error`."""

    url: str
    version: str | None
    error: str | None = None


@dataclass(frozen=True)
class HostCell:
    """State of a host: nothing runs, or `version` of an artifact from `index`; or an `error`.

    `release` is its number, `at` when it was made, in UTC.
    """

    host: str
    version: str | None = None
    release: int | None = None
    at: str | None = None
    index: str | None = None
    stopped: bool = False
    error: str | None = None


@dataclass(frozen=True)
class TargetRow:
    """A target, the index that it takes versions from, the newest one there (None: unknown), its hosts."""

    name: str
    index: str | None
    available: str | None
    hosts: Sequence[HostCell]

    @property
    def newest_release(self) -> int:
        """The highest number of a release that one of its hosts runs."""
        return max([cell.release or 0 for cell in self.hosts], default=0)


def cell(host: str, last: Mapping[str, Any], project: str) -> HostCell:
    """The cell of a host for `project`, by the last event of its agent; that may say anything."""
    if last.get("event") != "result":
        return HostCell(host, error=str(last.get("message") or "it gave no answer"))
    current = last.get("current")
    if current is None:
        return HostCell(host)
    if not isinstance(current, Mapping) or type(current.get("release")) is not int:
        return HostCell(host, error="it answers what no agent of ours does")
    if current.get("project", project) != project:
        return HostCell(host, error=f"it runs {str(current['project'])[:100]}")
    known = [current.get(key) for key in ("version", "at", "index")]
    version, at, where = (None if value is None else str(value)[:300] for value in known)
    return HostCell(host, version or "unknown", current["release"], at, where, bool(current.get("stopped")))


def newer(one: str | None, other: str | None) -> bool:
    """Whether version `one` is newer than `other`; unknown ones are not, and any is newer than none."""
    if one is None:
        return False
    try:
        return other is None or Version(one) > Version(other)
    except InvalidVersion:
        return False


def remark(row: TargetRow, cell: HostCell) -> str:
    """Remark on a host of a target."""
    if cell.error:
        return cell.error
    if cell.version is None:
        return "nothing was deployed"
    parts = ["stopped"] if cell.stopped else []
    if (cell.release or 0) < row.newest_release:
        parts.append(f"behind release {row.newest_release} of the target")
    if newer(row.available, cell.version):
        parts.append(f"{row.available} is newer")
    elif row.available and newer(cell.version, row.available):
        parts.append(f"newer than {row.available} on its index")
    if row.index and cell.index and cell.index != row.index:
        parts.append(f"from {index.short(cell.index)}")
    return ", ".join(parts)


def table(indexes: Sequence[IndexCell], targets: Sequence[TargetRow]) -> Iterator[tuple[str, ...]]:
    """Rows of: index or target, host, version, release, since when, remark."""
    for found in indexes:
        yield index.short(found.url), "", found.version or "-", "", "", found.error or ""
    for row in targets:
        for cell in row.hosts:
            number = str(cell.release or "")
            host = "" if cell.host == row.name else cell.host
            yield row.name, host, cell.version or "-", number, cell.at or "", remark(row, cell)


def advice(project: str, indexes: Sequence[IndexCell], targets: Sequence[TargetRow]) -> Iterator[str]:
    """Commands that bring a newer version on, in the order in which they help."""
    for found in indexes[1:]:
        first = indexes[0]
        reachable = index.server(first.url) == index.server(found.url)
        if not found.error and newer(first.version, found.version) and reachable:
            way = f"--from {index.short(first.url)} --to {index.short(found.url)}"
            yield f"release promote {project}=={first.version} {way}"
    for row in targets:
        answering = [cell for cell in row.hosts if not cell.error]
        if any(newer(row.available, cell.version) for cell in answering):
            yield f"release deploy {row.name}"
