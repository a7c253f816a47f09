"""Text of `mirror policy` and `mirror why`, made of the server's answers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.utils import InvalidName, canonicalize_name, canonicalize_version

from packhorse.errors import PackhorseError

MOST = 20  # files of one version and reason that are named


def rules_as_text(
    answer: Mapping[str, Any], declared: Mapping[str, Any], log: Sequence[Mapping[str, Any]] = ()
) -> str:
    """The policies in force; `declared` are those of mirror.toml, `log` the decisions so far."""
    lines = [f"{_where(rule['index'])}  {rule['rule']}: {rule['words']}" for rule in answer["rules"]]
    lines = lines or ["no policy is declared: [policy] in mirror.toml has them"]
    if answer["reserved"]:
        lines.append(f"all indexes of uploads  reserved: {', '.join(answer['reserved'])}")
    lines += [f"seen on an upstream: {words}" for words in look_alikes(log)]
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
    """The files of a project that are listed, and the reasons for which others are not."""
    listed = [file for file in answer["files"] if file["allowed"]]
    denied = [file for file in answer["files"] if not file["allowed"]]
    lines = [f"{answer['project']} on {answer['on']}: {len(listed)} files are listed, {len(denied)} are not"]
    lines += [f"  {_printable(note)}" for note in answer["notes"]]
    yanked = {str(file["version"]): file["yanked"] for file in listed if "yanked" in file}
    for version, reason in yanked.items():
        words = f": {_printable(reason)}" if isinstance(reason, str) and reason else ""
        lines.append(
            f"  {_printable(version)} is yanked: installers take it only when it is asked for{words}"
        )
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for file in denied:
        reasons.setdefault((file["policy_of"], file["rule"], file["reason"]), []).append(file["filename"])
    reported: dict[str, list[str]] = {}
    for file in listed:
        if "reported" in file:
            reported.setdefault(file["reported"], []).append(file["filename"])
    for words, names in reported.items():
        lines += ["", f"listed, but reported: {_printable(words)}", *_named(names)]
    for (index, rule, reason), names in reasons.items():
        lines += ["", f"{_where(index)}, rule {rule}: {_printable(reason)}", *_named(names)]
    return "\n".join(lines)


def log_as_text(lines: Sequence[Mapping[str, Any]]) -> str:
    """The log of decisions, a line for each rule."""
    return "\n".join(text for line in lines for text in _log_lines(line)) or "no decision is logged yet"


def _log_lines(line: Mapping[str, Any]) -> Iterator[str]:
    begin = f"{line['at']}  {line['on']}  {line['project']}: "
    for each in line["denied"]:
        yield _printable(
            f"{begin}{each['count']} denied by {each['rule']}: {each['reason']} ({_files(each)})"
        )
    for each in line.get("reported", ()):
        yield _printable(
            f"{begin}{each['count']} reported by {each['rule']}: {each['reason']} ({_files(each)})"
        )
    if line.get("looks_like"):
        yield _printable(f"{begin}looks like {line['looks_like']}, which is reserved")
    elif not line["denied"] and not line.get("reported"):
        yield _printable(f"{begin}all files are listed again")


def _files(each: Mapping[str, Any]) -> str:
    return ", ".join(each["files"][:3]) + (", …" if each["count"] > 3 else "")


def look_alikes(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Projects that looked like reserved ones, with these."""
    found = {line["project"]: line["looks_like"] for line in lines if line.get("looks_like")}
    return [f"{_printable(project)} looks like {own}" for project, own in sorted(found.items())]


def _named(names: Sequence[str]) -> Iterator[str]:
    yield from (f"  {_printable(name)}" for name in names[:MOST])
    if len(names) > MOST:
        yield f"  and {len(names) - MOST} more"


def _where(index: str) -> str:
    return f"policy of {index}" if index else "policy of all indexes"


def _printable(text: str) -> str:
    """Upstreams wrote it: no escape may reach the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)
