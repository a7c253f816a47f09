"""Remove cached files of upstreams from a mirror that serves: what the rules choose, after a look at it."""

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from mirror import indexes
from mirror.api import Api
from mirror.serving import status, trust_store
from packhorse.errors import PackhorseError
from packhorse.quantities import shown

PATH = "/+cached-files"
AT_ONCE = 20  # files; who stores one waits for as long as these take

Chosen = Mapping[str, Any]  # a file: path, project, version, size, used, links, listed, yanked


@dataclass(frozen=True)
class Rules:
    """Conditions for removal; without `unused_since` and `most`, all goes that is not to be kept."""

    keep_last: int = 0  # newest versions of each project that stay
    unused_since: float | None = None  # seconds since the epoch
    most: int | None = None  # bytes of all cached files
    keep: frozenset[tuple[str, str]] = frozenset()  # projects and versions that stay


@dataclass(frozen=True)
class Plan:
    """The files that the rules choose, and those that there are."""

    chosen: Sequence[Chosen]
    spared: Sequence[Chosen]  # they would go, but the upstream no longer lists them
    files: int
    bytes: int  # of all cached files
    offline: bool
    last_use_is_kept: bool
    out_of_reach: Sequence[Chosen] = ()  # they would go, but their upstream gives nothing now
    unreachable: Mapping[str, str] = field(default_factory=dict)  # why, by the indexes of these

    @property
    def size(self) -> int:
        return sum(file["size"] for file in self.chosen)

    @property
    def freed(self) -> int:
        """Bytes that the disk gets back: not those of files which a backup on the same disk has, too."""
        return sum(file["size"] for file in self.chosen if file["links"] == 1)


def plan(api: Api, rules: Rules, *, withdrawn: bool) -> Plan:
    """Ask the mirror what `rules` choose; `withdrawn` says whether what cannot be had again may go.

    Raises PackhorseError.
    """
    body = {
        "keep_last": rules.keep_last,
        "unused_since": rules.unused_since,
        "most": rules.most,
        "keep": sorted(rules.keep),
        "only_listed": not withdrawn,
    }
    return Plan(**api.call("GET", PATH, body))


def remove(api: Api, files: Sequence[Chosen], step: Callable[[], None]) -> list[Chosen]:
    """Remove `files` unless they were used meanwhile; call `step` for each; return what is gone."""
    gone: set[str] = set()
    for start in range(0, len(files) + AT_ONCE, AT_ONCE):  # the last call is empty: it tidies folders
        piece = files[start : start + AT_ONCE]
        gone.update(api.call("POST", PATH, {file["path"]: file["used"] for file in piece}))
        for _ in piece:
            step()
    return [file for file in files if file["path"] in gone]


def unreachable(api: Api, found: Plan) -> dict[str, str]:
    """The indexes of chosen files that could not be had again now, and why. Asks each upstream once."""
    named = sorted({_index(file) for file in found.chosen})
    if found.offline:
        return dict.fromkeys(named, "The mirror is offline")
    users = indexes.read(api) if named else {}
    trusted = trust_store.path(os.environ)
    reports = {
        name: status.ask_upstream(users[user]["indexes"][index]["mirror_url"], trusted)
        for name in named
        for user, _, index in [name.partition("/")]
    }
    return {name: f"The upstream {report}" for name, report in reports.items() if not report.answers}


def hold_back(found: Plan, unreachable: Mapping[str, str]) -> Plan:
    """`found` without the files of the indexes that are `unreachable`."""
    return replace(
        found,
        chosen=[file for file in found.chosen if _index(file) not in unreachable],
        out_of_reach=[file for file in found.chosen if _index(file) in unreachable],
        unreachable=unreachable,
    )


def refuse_unreachable(found: Plan) -> None:
    """Raise PackhorseError where files are out of reach."""
    if found.out_of_reach:
        size = shown(sum(file["size"] for file in found.out_of_reach))
        raise PackhorseError(
            f"{'; '.join(sorted(set(found.unreachable.values())))}:"
            f" {_files(len(found.out_of_reach))} with {size} could not be had again.",
            "See them with --dry-run --yes; to remove them all the same, give --yes alone.",
        )


def _index(file: Chosen) -> str:
    return str(file["path"]).partition("/+")[0]


def as_json(found: Plan, removed: Sequence[Chosen] | None) -> dict[str, Any]:
    """The plan, and what was removed (None: nothing was to be), for scripts; keys are only ever added."""
    return {
        "dry_run": removed is None,
        "files": found.files,
        "bytes": found.bytes,
        "last_use_is_kept": found.last_use_is_kept,
        "chosen": list(found.chosen),
        "chosen_bytes": found.size,
        "freed_bytes": found.freed,
        "spared": [*found.spared, *found.out_of_reach],
        "unreachable": dict(found.unreachable),
        "removed": None if removed is None else [file["path"] for file in removed],
        "removed_bytes": None if removed is None else sum(file["size"] for file in removed),
    }


def table(files: Iterable[Chosen]) -> list[str]:
    """A line for each project: files, bytes and versions; the most bytes first."""
    projects: defaultdict[str, list[Chosen]] = defaultdict(list)
    for file in files:
        projects[file["project"]].append(file)
    sizes = {project: sum(file["size"] for file in each) for project, each in projects.items()}
    return [
        f"{name}  {_files(len(projects[name]))}  {shown(sizes[name])}  {_versions(projects[name])}"
        for name in sorted(projects, key=lambda name: (-sizes[name], name))
    ]


def _versions(files: Iterable[Chosen]) -> str:
    named = list(dict.fromkeys(file["version"] or "?" for file in files))
    return ", ".join(named[:5]) + (f" and {len(named) - 5} more versions" if len(named) > 5 else "")


def total(found: Plan, removed: Sequence[Chosen] | None) -> str:
    """One sentence: what goes or went, what the disk gets back, what stays."""
    gone = found.chosen if removed is None else removed
    size = sum(file["size"] for file in gone)
    held = size - sum(file["size"] for file in gone if file["links"] == 1)
    verb = "would remove" if removed is None else "removed"
    linked = f" ({shown(held)} of that stay on the disk as long as a backup there has them)" if held else ""
    stay = f"{_files(found.files - len(gone))} with {shown(found.bytes - size)} stay"
    return f"{verb} {_files(len(gone))} with {shown(size)}{linked}; {stay}"


def warnings(found: Plan, rules: Rules) -> list[str]:
    """Warnings for the user."""
    said = []
    if rules.most is not None and found.bytes - found.size > rules.most:
        said.append(
            f"The limit of {shown(rules.most)} cannot be reached: {shown(found.bytes - found.size)} stay,"
            f" because of {' and '.join(_keeping(found, rules))}."
        )
    for reason in sorted(set(found.unreachable.values())):
        files = [file for file in found.out_of_reach if found.unreachable[_index(file)] == reason]
        size = shown(sum(file["size"] for file in files))
        said.append(
            f"{reason}: {_files(len(files))} with {size} would go, but could not be had again, and stay."
            " --yes removes them, too."
        )
    if found.spared:
        size = shown(sum(file["size"] for file in found.spared))
        said.append(
            f"{_files(len(found.spared))} with {size} would go, but stay: the upstream no longer lists them,"
            " so they could not be had again. --yes removes them, too."
        )
    if not found.last_use_is_kept:
        said.append(
            "This file system does not note when files are read (noatime): what nginx sends counts as used"
            " when it was downloaded. Mount it with relatime, see docs/upkeep.md."
        )
    return said


def _keeping(found: Plan, rules: Rules) -> Iterator[str]:
    if rules.keep_last:
        yield f"--keep-last {rules.keep_last} (or keep_last of mirror.toml)"
    if rules.keep:
        yield "the locks of --keep"
    if found.spared or found.out_of_reach:
        yield "files that could not be had again"


def _files(count: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}"
