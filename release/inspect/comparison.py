"""Compare two releases as hosts describe them, and put releases and their differences into lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from release.host.formats import project_link

Release = Mapping[str, Any]
"""A release, as `host/commands/inspect/show.py` describes it."""
MISSING = "only the journal knows it: its files were removed"


@dataclass(frozen=True)
class Changes:
    """Differences between two mappings: the keys that were added, changed, removed; each sorted."""

    added: Sequence[str]
    changed: Sequence[str]
    removed: Sequence[str]

    @classmethod
    def between(cls, old: Mapping[str, object], new: Mapping[str, object]) -> "Changes":
        """Changes that make `new` of `old`."""
        return cls(
            sorted(new.keys() - old.keys()),
            sorted(key for key in old.keys() & new.keys() if old[key] != new[key]),
            sorted(old.keys() - new.keys()),
        )

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.added or self.changed or self.removed)

    def signs(self) -> Iterator[tuple[str, str]]:
        """Sign and key: + added, ~ changed, - removed; sorted by key."""
        signed = [("+", key) for key in self.added]
        signed += [("~", key) for key in self.changed] + [("-", key) for key in self.removed]
        return iter(sorted(signed, key=lambda pair: pair[1]))


def difference(old: Release, new: Release) -> dict[str, Any]:
    """Changes from `old` to `new`, for scripts; of variables their names alone."""
    both = [_by_name(each.get("dependencies", [])) for each in (old, new)]
    versions = [{name: each["version"] for name, each in known.items()} for known in both]
    dependencies = Changes.between(*versions)
    variables = Changes.between(
        *(
            {each["name"]: each.get("digest") for each in release.get("variables", [])}
            for release in (old, new)
        )
    )
    processes = Changes.between(*(release.get("processes", {}) for release in (old, new)))
    return {
        "from": old["release"],
        "to": new["release"],
        "complete": bool(old["kept"] and new["kept"]),
        "version": [old.get("version"), new.get("version")],
        "commit": [_artifact(old).get("commit"), _artifact(new).get("commit")],
        "artifact": [_artifact(old).get("sha256"), _artifact(new).get("sha256")],
        "python": [old.get("python"), new.get("python")],
        "dependencies": [
            {
                "name": name,
                "from": versions[0].get(name),
                "to": versions[1].get(name),
                "url": _link((both[1].get(name) or both[0][name]).get("url")),
            }
            for _, name in dependencies.signs()
        ],
        "variables": {"added": variables.added, "changed": variables.changed, "removed": variables.removed},
        "processes": {"added": processes.added, "changed": processes.changed, "removed": processes.removed},
    }


def lines(found: Mapping[str, Any], names: tuple[str, str]) -> Iterator[str]:
    """Lines of a `difference`, between releases that have these `names`."""
    yield f"{names[0]} -> {names[1]}"
    if not found["complete"]:
        yield f"  (of one of them {MISSING})"
    (old, new), (before, after) = found["version"], found["commit"]
    code = "the same code" if found["artifact"][0] == found["artifact"][1] else "other code"
    yield f"  version       {old} -> {new}" if old != new else f"  version       {old}, {code}"
    if before != after:
        yield f"  commits       {before or 'unknown'}..{after or 'unknown'}"
    if None not in found["python"] and found["python"][0] != found["python"][1]:
        yield f"  Python        {found['python'][0]} -> {found['python'][1]}"
    if not found["complete"]:
        return
    yield from _section("dependencies", map(_dependency, found["dependencies"]))
    yield from _section("variables", _signed(found["variables"]))
    yield from _section("processes", _signed(found["processes"]))


def _section(title: str, texts: Iterator[str]) -> Iterator[str]:
    for position, text in enumerate([*texts] or ["none changed"]):
        yield f"  {'' if position else title:<12}  {text}"


def _signed(found: Mapping[str, Sequence[str]]) -> Iterator[str]:
    changes = Changes(found["added"], found["changed"], found["removed"])
    return (f"{sign} {key}" for sign, key in changes.signs())


def _dependency(row: Mapping[str, Any]) -> str:
    link = f"  {row['url']}" if row["url"] else ""
    if row["from"] is None:
        return f"+ {row['name']} {row['to']}{link}"
    if row["to"] is None:
        return f"- {row['name']} {row['from']}{link}"
    return f"~ {row['name']} {row['from']} -> {row['to']}{link}"


def details(release: Release) -> Iterator[str]:
    """Lines about one release."""
    artifact = _artifact(release)
    outcome = f"{release['state']}{': ' if release['reason'] else ''}{release['reason']}"
    origin = release.get("origin", release["release"])
    rows = [
        ("version", f"{release.get('project')} {release.get('version')}"),
        ("state", outcome),
        ("made", f"{release.get('made') or release.get('at')} by {release.get('by')}"),
        ("changed", release.get("changed")),
        ("content of", f"release {origin}" if origin != release["release"] else ""),
        ("commit", _commit(artifact)),
        ("artifact", f"{artifact['filename']}  sha256 {artifact['sha256']}" if artifact else ""),
        ("index", artifact.get("index")),
        ("signed by", artifact.get("signer")),
        ("Python", release.get("python")),
        *_titled(
            "processes", [f"{name}: {command}" for name, command in release.get("processes", {}).items()]
        ),
        *_titled("variables", [each["name"] for each in release.get("variables", [])]),
        *_titled("dependencies", [_installed(each) for each in release.get("dependencies", [])]),
        ("", "" if release["kept"] else MISSING),
    ]
    return (f"  {title:<12}  {text}" for title, text in rows if text)


def _titled(title: str, texts: Sequence[str]) -> list[tuple[str, str]]:
    return [("" if position else title, text) for position, text in enumerate(texts)]


def _installed(row: Mapping[str, Any]) -> str:
    link = _link(row.get("url"))
    return f"{row['name']} {row['version']}" + (f"  {link}" if link else "")


def _commit(artifact: Mapping[str, Any]) -> str:
    if not artifact.get("commit"):
        return ""
    committer = f" of {artifact['committer']}" if artifact.get("committer") else ""
    return f"{artifact['commit']}{committer}" + (", with changes since" if artifact.get("dirty") else "")


def _artifact(release: Release) -> Mapping[str, Any]:
    found: Mapping[str, Any] = release.get("artifact") or {}
    return found


def _by_name(rows: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {str(row["name"]): row for row in rows}


def _link(url: object) -> object:
    """`url` if it is one that may be shown: a host may say anything."""
    return url if project_link.is_link(url) else None
