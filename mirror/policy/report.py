"""What `mirror policy` and `mirror why` show, from the server's answers; text for people."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import InvalidName, canonicalize_name, canonicalize_version

from packhorse.errors import PackhorseError

MOST = 20  # files of one version and reason that are named


def rules_as_text(answer: Mapping[str, Any], declared: Mapping[str, Any]) -> str:
    """The policies in force; `declared` are those of mirror.toml."""
    lines = [f"{_where(rule['index'])}  {rule['rule']}: {rule['words']}" for rule in answer["rules"]]
    lines = lines or ["no policy is declared: [policy] in mirror.toml has them"]
    if answer["reserved"]:
        lines.append(f"all indexes of uploads  reserved: {', '.join(answer['reserved'])}")
    if answer["settings"] != declared:
        lines += [
            "",
            "mirror.toml declares other policies than these, which are in force: `mirror init` applies it.",
        ]
    return "\n".join(lines)


def name_of(project: str) -> str:
    """The normalised name. Raises PackhorseError."""
    try:
        return canonicalize_name(project, validate=True)
    except InvalidName as error:
        raise PackhorseError(
            f'"{_printable(project)}" names no project.', "Write NAME or NAME==VERSION, such as demo==1.2."
        ) from error


def of_version(answer: Mapping[str, Any], version: str | None) -> dict[str, Any]:
    """`answer` with the files of one version alone."""
    files = [
        file
        for file in answer["files"]
        if version is None or canonicalize_version(file["version"] or "") == canonicalize_version(version)
    ]
    return {**answer, "files": files}


def why_as_text(answer: Mapping[str, Any]) -> str:
    """Why files of a project are listed, and others are not."""
    listed = [file for file in answer["files"] if file["allowed"]]
    denied = [file for file in answer["files"] if not file["allowed"]]
    lines = [f"{answer['project']} on {answer['on']}: {len(listed)} files are listed, {len(denied)} are not"]
    lines += [f"  {_printable(note)}" for note in answer["notes"]]
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for file in denied:
        reasons.setdefault((file["policy_of"], file["rule"], file["reason"]), []).append(file["filename"])
    for (index, rule, reason), names in reasons.items():
        lines += ["", f"{_where(index)}, rule {rule}: {_printable(reason)}", *_named(names)]
    return "\n".join(lines)


def _named(names: Sequence[str]) -> Iterator[str]:
    yield from (f"  {_printable(name)}" for name in names[:MOST])
    if len(names) > MOST:
        yield f"  and {len(names) - MOST} more"


def _where(index: str) -> str:
    return f"policy of {index}" if index else "policy of all indexes"


def _printable(text: str) -> str:
    """Upstreams wrote it: no escape may reach the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
