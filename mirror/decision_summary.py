"""Summary of the decisions about a project's files: what `mirror why` and +why say first of hundreds."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from packaging.version import InvalidVersion, Version

MOST = 20  # reasons, or files, that are named

# The end of reasons that hold until the server has looked: evidence comes while nobody waits for it.
PENDING = "ask again in a moment"

File = Mapping[str, Any]  # as +why has it in JSON


class Group(NamedTuple):
    """Files that one rule denies for one reason, those of the newest versions first."""

    policy_of: str
    rule: str
    reason: str
    files: Sequence[File]


def denied(files: Sequence[File]) -> list[Group]:
    """The files that are not listed, in groups: the largest first.

    Reasons name the file: those that differ in nothing else are one.
    """
    found: dict[tuple[str, str, str], list[File]] = {}
    for file in newest_first(files):
        if not file["allowed"]:
            reason = str(file["reason"]).replace(str(file["filename"]), "…")
            found.setdefault((file["policy_of"], file["rule"], reason), []).append(file)
    groups = [
        Group(of, rule, str(each[0]["reason"]) if len(each) == 1 else reason, each)
        for (of, rule, reason), each in found.items()
    ]
    return sorted(groups, key=lambda group: -len(group.files))


def counts(groups: Sequence[Group]) -> Iterator[str]:
    """A line for each group, such as `28 files: rule deny: demo is denied`."""
    yield from bounded([f"{len(each.files)} files: rule {each.rule}: {each.reason}" for each in groups])


def newest_first(files: Sequence[File]) -> list[File]:
    """Files by their versions; what tells none that can be read comes last."""
    return sorted(files, key=lambda file: _order(file["version"]), reverse=True)


def newest_listed(files: Sequence[File]) -> str | None:
    """The version that installers take; None when nothing is listed."""
    listed = newest_first([file for file in files if file["allowed"]])
    return str(listed[0]["version"]) if listed else None


def bounded(texts: Sequence[str], most: int = MOST) -> Iterator[str]:
    """The first of `texts`, and how many there are more."""
    yield from texts[:most]
    if len(texts) > most:
        yield f"… and {len(texts) - most} more"


def _order(version: str | None) -> tuple[bool, Version]:
    try:
        return True, Version(version or "")
    except InvalidVersion:
        return False, Version("0")
