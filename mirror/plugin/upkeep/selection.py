"""Choose which cached files to remove: by last use, by version, by the room that all take. Pure."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from packaging.utils import canonicalize_version
from packaging.version import InvalidVersion, Version

GRAIN = 86_400  # seconds by which the last use of a file may be later than what is noted (files/last_use.py)


@dataclass(frozen=True)
class CachedFile:
    """A file of an upstream that is stored here."""

    path: str  # devpi's, "root/pypi/+f/abc/0123456789abc/demo-1.0.tar.gz"
    project: str  # normalised
    version: str  # "" when its name tells none
    size: int  # bytes
    used: float  # its last use, seconds since the epoch
    links: int = 1  # names that it has on the disk; a backup on the same one adds some
    listed: bool = True  # whether the upstream's page, as it was seen last, still has it
    yanked: bool = False

    @property
    def index(self) -> str:
        return self.path.partition("/+")[0]


@dataclass(frozen=True)
class Rules:
    """Conditions for removal; without `unused_since` and `most`, all that `keep_last` and `keep` leave over.

    The newest `keep_last` versions of each project of an index stay, and the releases in `keep`.
    """

    keep_last: int = 0
    unused_since: float | None = None  # seconds since the epoch: what was used after that stays
    most: int | None = None  # bytes of all files: no more is removed than it takes
    keep: frozenset[tuple[str, str]] = frozenset()  # projects and versions, both normalised
    only_listed: bool = False  # whether what cannot be had again stays


def to_remove(files: Collection[CachedFile], rules: Rules) -> list[CachedFile]:
    """The files to remove, those that were not used for the longest time first.

    What the upstream no longer lists goes last: it cannot be had again.
    """
    free = _unprotected(files, rules)
    since = rules.unused_since
    chosen = [] if since is None else [each for each in free if each.used + GRAIN < since]
    if rules.most is not None:
        taken = sum(each.size for each in files) - sum(each.size for each in chosen)
        marked = {each.path for each in chosen}
        for each in free:
            if taken <= rules.most:
                break
            if each.path not in marked:
                chosen.append(each)
                taken -= each.size
    return free if rules.unused_since is None and rules.most is None else sorted(chosen, key=_order)


def _order(file: CachedFile) -> tuple[bool, float, str]:
    return (not file.listed, file.used, file.path)


def _unprotected(files: Iterable[CachedFile], rules: Rules) -> list[CachedFile]:
    projects: defaultdict[tuple[str, str], list[CachedFile]] = defaultdict(list)
    for each in files:
        projects[each.index, each.project].append(each)
    return sorted(
        (
            each
            for of_one in projects.values()
            for each in _beyond(of_one, rules.keep_last)
            if (each.project, normalized(each.version)) not in rules.keep
            and (each.listed or not rules.only_listed)
        ),
        key=_order,
    )


def _beyond(files: Sequence[CachedFile], count: int) -> Iterable[CachedFile]:
    """The files of a project that are of none of its `count` newest versions."""
    ranks: dict[str, tuple[bool, bool, bool, Version]] = {}
    for each in files:
        version = normalized(each.version)
        ranks[version] = max(_rank(each), ranks.get(version, _rank(each)))
    newest = set(sorted(ranks, key=lambda version: ranks[version], reverse=True)[:count])
    return (each for each in files if normalized(each.version) not in newest)


def _rank(file: CachedFile) -> tuple[bool, bool, bool, Version]:
    """Rank like installers: final releases by PEP 440, then pre-releases, then yanked ones."""
    try:
        version = Version(file.version)
    except InvalidVersion:
        return (False, False, False, Version("0"))
    return (not file.yanked, not version.is_prerelease, True, version)


def normalized(version: str) -> str:
    """One spelling of a version: 1.0, v1.0 and 1.0.0 are the same."""
    return canonicalize_version(version)
